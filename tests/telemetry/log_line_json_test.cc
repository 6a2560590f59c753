#include "server/telemetry/log_line_json.h"

#include <gtest/gtest.h>

#include <limits>

namespace puma::server {
namespace {

LogLine Line() {
  auto source = std::make_shared<v1::LogSource>();
  source->set_pipeline("edges");
  source->set_task("detector.1");
  source->set_run(3);
  source->set_pid(4242);
  source->set_logger("edges.Detector");
  source->set_file("detector.cc");
  source->set_line(17);
  source->set_function("OnFrame");
  LogLine line{.source = source, .worker_key = 12, .worker_run = 3, .record = {}};
  line.record.set_time_unix_nanos(1'700'000'000'000'000'123);
  line.record.set_severity(13);
  line.record.set_message("plain");
  line.record.set_tid(4243);
  line.record.set_stream(v1::LOG_STREAM_STDERR);
  line.record.set_sequence(99);
  return line;
}

std::string Write(const LogLine& line) {
  std::string text;
  LogLineWriter().Append(line, text);
  return text;
}

TEST(LogLineJson, IsOneLineWithTheNamedFields) {
  EXPECT_EQ(
      Write(Line()),
      R"({"time":"2023-11-14T22:13:20.000000123Z","level":"WARN","pipeline":"edges","task":"detector.1","run":3,"pid":4242,"tid":4243,)"
      R"("logger":"edges.Detector","file":"detector.cc","line":17,"function":"OnFrame","message":"plain","stream":"stderr",)"
      R"("worker":12,"worker_run":3,"seq":99})"
      "\n");
}

TEST(LogLineJson, GoesThereAndBackWithAnyText) {
  LogLineReader reader;
  for (const std::string& message : {std::string("\x1b[31mred\x1b[0m \"quoted\" \\ back\nline\ttab\r"), std::string("a\0b\x01\x7f", 5),
                                     std::string("grüße 漢字 🐆 \u202e bidi"), std::string(), std::string(100'000, 'x')}) {
    LogLine line = Line();
    line.worker_key = std::numeric_limits<uint64_t>::max();
    line.record.set_message(message);
    line.record.set_dropped_before(7);
    line.record.set_time_unix_nanos(-1);
    const std::string text = Write(line);
    EXPECT_EQ(text.find('\n'), text.size() - 1);
    std::optional<LogLine> back = reader.Read(text.substr(0, text.size() - 1));
    ASSERT_TRUE(back.has_value()) << text.substr(0, 200);
    EXPECT_EQ(back->source->SerializeAsString(), line.source->SerializeAsString());
    EXPECT_EQ(back->record.SerializeAsString(), line.record.SerializeAsString());
    EXPECT_EQ(back->worker_key, line.worker_key);
    EXPECT_EQ(back->worker_run, line.worker_run);
  }
}

TEST(LogLineJson, ReadsNothingFromTornOrForeignLines) {
  LogLineReader reader;
  const std::string whole = Write(Line());
  for (size_t cut = 0; cut + 2 < whole.size(); ++cut) EXPECT_FALSE(reader.Read(whole.substr(0, cut)).has_value()) << cut;
  for (const char* text : {"", "{}", "[]", "null", "{\"time\":5}", "{\"time\":\"yesterday\"}", "\xff"})
    EXPECT_FALSE(reader.Read(text).has_value());
  EXPECT_TRUE(reader.Read(R"({"time":"2023-11-14T22:13:20Z","run":"not a number","message":7})").has_value())
      << "what is of a wrong type is left out";
}

TEST(LogLineJson, ReplacesWhatIsNotUtf8AndNothingElse) {
  EXPECT_EQ(ToUtf8("grüße 🐆\x1b\0"), "grüße 🐆\x1b\0");
  EXPECT_EQ(ToUtf8("a\xff z"), "a\uFFFD z");
  EXPECT_EQ(ToUtf8("\xc3"), "\uFFFD");                      // cut
  EXPECT_EQ(ToUtf8("\xc0\xaf"), "\uFFFD\uFFFD");            // overlong
  EXPECT_EQ(ToUtf8("\xed\xa0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(ToUtf8("\xf4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");
  EXPECT_TRUE(IsUtf8("🐆"));
  EXPECT_FALSE(IsUtf8("\x80"));
}

}  // namespace
}  // namespace puma::server
