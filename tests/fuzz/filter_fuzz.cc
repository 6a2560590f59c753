// Filters of lists, before a task that has a bit of everything: a filter that was understood can be asked, and its contrary says the
// contrary.
#include "google/protobuf/text_format.h"
#include "puma/v1/resources.pb.h"
#include "server/rpc/filter.h"
#include "tests/fuzz/fuzz_input.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const puma::v1::Task task = [] {
    puma::v1::Task made;
    google::protobuf::TextFormat::ParseFromString(
        "name: \"pipelines/p/tasks/t\" spec { type: \"m.T\" outputs { key: \"o\" value: \"b\" } } "
        "status { state: TASK_STATE_FAILED since { seconds: 1 } busy { nanos: 1 } ports { port: \"o\" rate: 1 } last_exit { run: 1 } }",
        &made);
    return made;
  }();
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto filter = puma::server::Filter::Parse(text, *puma::v1::Task::descriptor());
  if (!filter.ok()) return 0;
  const bool matches = filter->Matches(task);
  puma::fuzz::Must(matches || !filter->empty(), "an empty filter refused a task");
  return 0;
}
