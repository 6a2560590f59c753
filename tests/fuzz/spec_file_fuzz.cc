// Spec files. The bytes choose words, so that most of what comes is YAML of some depth; and what was read says the same when it is written
// out and read again.
#include <google/protobuf/util/message_differencer.h>

#include <array>

#include "client/lib/spec_file.h"
#include "client/lib/spec_text.h"
#include "tests/fuzz/fuzz_input.h"

namespace {
constexpr std::array kWords = {"\n",
                               "\n  ",
                               "\n    ",
                               "\n      ",
                               ": ",
                               ", ",
                               "{",
                               "}",
                               "[",
                               "]",
                               "pipeline: p\n",
                               "modules",
                               "buffers",
                               "tasks",
                               "strategy",
                               "a",
                               "b",
                               "capacity",
                               "64MiB",
                               "on_full",
                               "drop_oldest",
                               "type",
                               "m.T",
                               "placement",
                               "thread",
                               "inputs",
                               "outputs",
                               "params",
                               "restart",
                               "backoff",
                               "initial",
                               "100ms",
                               "depends_on",
                               "running",
                               "replicas",
                               "2",
                               "-1e9",
                               "0.5",
                               "true",
                               "~",
                               "\"",
                               "'",
                               "${A}",
                               "${B:-1}",
                               "$${",
                               "&x ",
                               "*x",
                               "<<: ",
                               "- ",
                               "!t ",
                               "|\n",
                               ">\n",
                               "# ",
                               "---\n",
                               "resources",
                               "memory",
                               "cpu",
                               "lossy",
                               "buffer",
                               "watchdog",
                               "1m30s",
                               "\\u00e4",
                               "max_deliveries"};
}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using puma::client::SpecFile;
  std::string text;
  for (size_t i = 0; i < size; ++i) {
    if (data[i] < kWords.size())
      text += kWords[data[i]];
    else
      text += static_cast<char>(data[i]);
  }
  const auto variables = [](const std::string& name) { return name == "A" ? std::optional<std::string>("64MiB: [") : std::nullopt; };
  const absl::StatusOr<SpecFile> read = SpecFile::Parse("f", text, variables);
  if (!read.ok()) return 0;
  (void)read->Explain("tasks.a.inputs.b", "x");
  const absl::StatusOr<SpecFile> again = SpecFile::Parse("f", puma::client::ToYaml(read->spec()), variables);
  puma::fuzz::Must(again.ok() && google::protobuf::util::MessageDifferencer::Equals(read->spec(), again->spec()),
                   "a spec that was written out was read as another one");
  return 0;
}
