// Failures and start specs, as a stranger writes them. What was understood once is understood again.
#include <string>

#include "tests/fuzz/fuzz_input.h"
#include "worker/control/failure.h"
#include "worker/control/start_spec.h"

namespace {

using puma::fuzz::Must;

std::string Seed(uint8_t which) {
  if (which % 4 == 0) {
    puma::control::StartSpec spec;
    spec.name = "task.0";
    spec.params = {{"limit", "10"}, {"title", "\"x\""}};
    spec.inputs.push_back({.port = "in", .buffer = "b", .publishers = {1, 2}, .lanes = {{.lane = 1, .publisher = 2}}});
    spec.outputs.push_back({.port = "out", .buffer = "b", .on_full = "block", .lanes = {{1, 0, {3}}}});
    return ToJson(spec);
  }
  return R"({"code": 3, "message": "m", "types": ["a"], "stack": [{"function": "f", "file": "x.cc", "line": 1, "module": "m", "offset": 2}],)"
         R"( "path": ["p"], "causes": [{"code": 2, "message": "c"}]})";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace puma;  // NOLINT(google-build-using-namespace)
  fuzz::Input input(data, size);
  const auto which = input.Take<uint8_t>();
  std::string text;
  if (which % 2 == 0) {  // an honest one, with changes
    text = Seed(which / 2);
    while (!input.empty()) text[input.Take<uint16_t>() % text.size()] = static_cast<char>(input.Take<uint8_t>());
  } else {
    text.assign(reinterpret_cast<const char*>(input.rest().data()), input.rest().size());
  }
  if (auto error = control::FailureFromJson(text); error.ok()) {
    const std::string again = control::FailureToJson(*error, 2048);
    Must(again.size() <= 2048, "longer than asked for");
    Must(control::FailureFromJson(again).ok(), "a failure that is not understood again");
  }
  if (auto spec = control::StartSpecFromJson(text); spec.ok()) {
    auto again = control::StartSpecFromJson(ToJson(*spec));
    Must(again.ok() && ToJson(*again) == ToJson(*spec), "a start spec that is not understood again");
  }
  return 0;
}
