// What stands in consoles and files.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <puma/logging.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/clock.h"
#include "tests/logging/folder.h"
#include "worker/logging/file_sink.h"
#include "worker/logging/line_format.h"
#include "worker/logging/record_sink.h"
#include "worker/platform/unique_fd.h"

namespace puma {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::SizeIs;

class FilesTest : public ::testing::Test {
 protected:
  ~FilesTest() override { ResetLogging(); }
  absl::Status Init(const std::string& yaml) { return InitLogging(folder_.Write("log.yaml", "levels: {root: info}\n" + yaml)); }
  // With only the messages in the lines.
  absl::Status InitPlain(const std::string& sink) { return Init("format: '{message}'\nsinks: [" + sink + "]\n"); }
  std::string Joined(const std::string& below = "") {
    std::string text;
    for (const std::string& name : folder_.Names(below)) {
      if (name.ends_with(".log")) text += folder_.Read(below + "/" + name);
    }
    return text;
  }
  static std::string Numbers(int from, int to) {
    std::string text;
    for (int i = from; i < to; ++i) text += fmt::format("line {}\n", i);
    return text;
  }
  void LogNumbers(int from, int to) {
    for (int i = from; i < to; ++i) logger_.info("line {}", i);
  }
  tests::Folder folder_;
  const Logger logger_{"imaging.sobel"};
};

TEST_F(FilesTest, ALineHasTimeLevelProcessLoggerThreadPlaceAndMessage) {
  ASSERT_TRUE(Init("sinks: [{type: file, path: " + folder_ / "a.log" + "}]\n").ok());
  logger_.warn("the {}", "message");
  log().error("of nobody in particular");
  const std::string place = std::to_string(__LINE__ - 2), thread = std::to_string(getpid());
  const std::string text = folder_.Read("a.log");
  EXPECT_THAT(text, MatchesRegex("....-..-.. ..:..:..\\.[0-9][0-9][0-9] WARN  logging_files_test imaging.sobel " + thread +
                                 " files_test.cc:TestBody:" + place + " the message\n.* ERROR logging_files_test - " + thread + " .*\n"));
}

TEST_F(FilesTest, ControlCharactersAreEscaped) {
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "a.log" + "}").ok());
  logger_.info("{}",
               "two\nlines\r\ttab \x1b[31m bell\a del\x7f umlaut \xc3\xa4 \xe2\x82\xac wrong \xff\xc3 bidi \xe2\x80\xae csi \xc2\x9b.");
  EXPECT_EQ(folder_.Read("a.log"),
            "two\\nlines\\r\\ttab \\x1b[31m bell\\x07 del\\x7f umlaut \xc3\xa4 \xe2\x82\xac wrong \\xff\\xc3 bidi \\u202e csi \\u009b.\n");
}

TEST_F(FilesTest, TheFormatIsConfigurable) {
  ASSERT_TRUE(
      Init("format: '{{{level}}} {logger}|{file}|{path}|{message}'\nsinks: [{type: file, path: " + folder_ / "a.log" + "}]\n").ok());
  logger_.info("x");
  EXPECT_THAT(folder_.Read("a.log"), MatchesRegex("\\{INFO \\} imaging.sobel\\|files_test.cc\\|.*/files_test.cc\\|x\n"));
}

TEST_F(FilesTest, FilesOpenAtConfigurationOrAtTheFirstRecordAsConfigured) {
  ASSERT_TRUE(Init("sinks:\n  - {type: file, path: " + folder_ / "now.log" +
                   "}\n  - {type: file, open: first_record, path: " + folder_ / "later.log" + "}\n")
                  .ok());
  EXPECT_TRUE(std::filesystem::exists(folder_ / "now.log"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "later.log"));
  logger_.debug("below the level");
  EXPECT_FALSE(std::filesystem::exists(folder_ / "later.log"));
  logger_.info("first");
  EXPECT_THAT(folder_.Read("later.log"), HasSubstr("first"));
  EXPECT_THAT(folder_.Read("now.log"), HasSubstr("first"));
}

TEST_F(FilesTest, MissingFoldersAreMade) {
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "a/b/c.log" + "}").ok());
  logger_.info("x");
  EXPECT_EQ(folder_.Read("a/b/c.log"), "x\n");
}

TEST_F(FilesTest, APlainFileIsContinued) {
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "a.log" + "}").ok());
    LogNumbers(i, i + 1);
  }
  EXPECT_EQ(folder_.Read("a.log"), Numbers(0, 2));
}

TEST_F(FilesTest, RotatedFilesJoinedInNameOrderAreTheExactSequence) {
  for (const char* name : {"app.log", "app_{time}.log", "noextension"}) {
    tests::Folder folder;
    ASSERT_TRUE(InitPlain("{type: file, path: '" + folder / name + "', rotate: {size: 64}}").ok());
    LogNumbers(0, 1000);
    std::string joined;
    for (const std::string& file : folder.Names()) {
      EXPECT_LE(folder.Read(file).size(), 64u);
      joined += folder.Read(file);
    }
    EXPECT_EQ(joined, Numbers(0, 1000)) << name;
    EXPECT_GT(folder.Names().size(), 100u);
  }
}

TEST_F(FilesTest, EachRecordStandsOnceInEachSink) {
  ASSERT_TRUE(Init("format: '{message}'\nsinks:\n  - {type: file, path: " + folder_ / "1.log" +
                   "}\n  - {type: file, path: " + folder_ / "2.log" + "}\n")
                  .ok());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] { LogNumbers(t * 100, t * 100 + 100); });
  }
  for (auto& thread : threads) thread.join();
  for (const char* name : {"1.log", "2.log"}) {
    const std::string text = folder_.Read(name);
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 400);
    for (int i = 0; i < 400; ++i) EXPECT_THAT("\n" + text, HasSubstr(fmt::format("\nline {}\n", i)));
  }
}

TEST_F(FilesTest, OnlyTheNewestFilesAreKept) {
  folder_.Write("app.000001.log.mine", "not a log of ours");
  folder_.Write("app.x.log", "nor this");
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "app.log" + ", rotate: {size: 16, files: 3}}").ok());
  LogNumbers(100, 120);  // 9 bytes a line: one in a file
  EXPECT_THAT(folder_.Names(),
              ElementsAre("app.000001.log.mine", "app.000018.log", "app.000019.log", "app.000020.log", "app.x.log", "log.yaml"));
  EXPECT_EQ(folder_.Read("app.000020.log"), "line 119\n");
}

TEST_F(FilesTest, ARunGoesOnWhereTheOneBeforeStopped) {
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "app.log" + ", rotate: {size: 20}}").ok());
    LogNumbers(i * 3, i * 3 + 3);
  }
  EXPECT_EQ(Joined(), Numbers(0, 15));
}

TEST_F(FilesTest, TimestampedFilesOfSeveralStartsFollowEachOtherAndCountTogether) {
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(InitPlain("{type: file, path: '" + folder_ / "logs/app_{time}.log" + "', rotate: {size: 1KiB, files: 3}}").ok());
    LogNumbers(i, i + 1);
  }
  EXPECT_EQ(Joined("logs"), Numbers(1, 4));
  EXPECT_THAT(folder_.Names("logs"), Each(MatchesRegex("app_[0-9]+T[0-9]+\\.[0-9]+Z\\.000001\\.log")));
}

TEST_F(FilesTest, ThePlaceholdersOfAPath) {
  ASSERT_TRUE(InitPlain("{type: file, path: '" + folder_ / "{program}-{pid}-{time}-x.log" + "'}").ok());
  EXPECT_THAT(folder_.Names(),
              ElementsAre("log.yaml", MatchesRegex("logging_files_test-" + std::to_string(getpid()) + "-[0-9T.]+Z-x\\.log")));
}

TEST_F(FilesTest, ALineLongerThanAFileHasOneOfItsOwn) {
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "app.log" + ", rotate: {size: 10}}").ok());
  logger_.info("short");
  logger_.info("this one is longer than ten bytes");
  logger_.info("short");
  EXPECT_THAT(folder_.Names(), SizeIs(4));
  EXPECT_EQ(folder_.Read("app.000002.log"), "this one is longer than ten bytes\n");
}

TEST_F(FilesTest, HeldLinesAreWrittenTogetherAndSplitAtLines) {
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "app.log" + ", rotate: {size: 50}}").ok());
  logging::Record record;
  record.more = true;
  for (int i = 0; i < 100; ++i) {
    const std::string text = fmt::format("line {}", i);
    record.text = text;
    logging::Dispatch(record);
  }
  EXPECT_EQ(Joined(), "");
  logging::FlushSink();
  EXPECT_EQ(Joined(), Numbers(0, 100));
}

TEST_F(FilesTest, ASinkMayHaveALevelOfItsOwn) {
  ASSERT_TRUE(Init("format: '{message}'\nsinks:\n  - {type: file, path: " + folder_ / "all.log" +
                   "}\n  - {type: file, level: error, path: " + folder_ / "errors.log" + "}\n")
                  .ok());
  logger_.info("info");
  logger_.error("error");
  EXPECT_EQ(folder_.Read("all.log"), "info\nerror\n");
  EXPECT_EQ(folder_.Read("errors.log"), "error\n");
}

TEST_F(FilesTest, SaveAndRestoreBringBackSinks) {
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "first.log" + "}").ok());
  const SavedLogging saved = SaveLogging();
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "second.log" + "}").ok());
  logger_.info("to the second");
  RestoreLogging(saved);
  logger_.info("to the first");
  ShutdownLogging();
  logger_.info("to nobody");
  RestoreLogging(saved);
  logger_.info("to the first again");
  EXPECT_EQ(folder_.Read("first.log"), "to the first\nto the first again\n");
  EXPECT_EQ(folder_.Read("second.log"), "to the second\n");
}

TEST_F(FilesTest, ReplacedFilesAreClosed) {
  const auto descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) != -1;
    return count;
  };
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "0.log" + "}").ok());
  const int before = descriptors();
  for (int i = 1; i < 20; ++i) ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / fmt::format("{}.log", i) + "}").ok());
  EXPECT_EQ(descriptors(), before);
  ResetLogging();
  EXPECT_EQ(descriptors(), before - 1);
}

TEST_F(FilesTest, InitialisingAgainWhileOthersLogLosesNothing) {
  const std::string sink = "{type: file, path: " + folder_ / "a.log" + "}";
  ASSERT_TRUE(InitPlain(sink).ok());
  std::thread other([&] { LogNumbers(0, 2000); });
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(InitPlain(sink).ok());
  }
  other.join();
  const std::string text = folder_.Read("a.log");
  EXPECT_EQ(text, Numbers(0, 2000));
}

// A limit of the process stands for a full disk.
TEST_F(FilesTest, AFullDiskIsToldOnceAndTheFileGoesOnLater) {
  ASSERT_TRUE(InitPlain("{type: file, path: " + folder_ / "a.log" + "}").ok());
  signal(SIGXFSZ, SIG_IGN);
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small = before;
  small.rlim_cur = 100;
  setrlimit(RLIMIT_FSIZE, &small);
  ::testing::internal::CaptureStderr();
  LogNumbers(100, 150);
  setrlimit(RLIMIT_FSIZE, &before);
  LogNumbers(150, 152);
  const std::string said = ::testing::internal::GetCapturedStderr();
  const std::string text = folder_.Read("a.log");
  EXPECT_THAT(said, HasSubstr("File too large; lines are lost"));
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  // 11 lines, and the beginning of one; the loss; what came later.
  EXPECT_EQ(text, Numbers(100, 111) + "l\npuma: 39 lines could not be written here\n" + Numbers(150, 152));
}

TEST_F(FilesTest, WhereNothingCanBeWrittenTheProgramGoesOn) {
  ASSERT_TRUE(InitPlain("{type: file, open: first_record, path: " + folder_ / "log.yaml/impossible.log" + "}").ok());
  ::testing::internal::CaptureStderr();
  LogNumbers(0, 3);
  EXPECT_THAT(::testing::internal::GetCapturedStderr(), HasSubstr("lines are lost"));
}

TEST_F(FilesTest, TheConsoleHasWarningsAndAboveWithoutInitialisation) {
  ::testing::internal::CaptureStderr();
  logger_.info("not shown");
  std::thread([&] { logger_.warn("shown"); }).join();
  logger_.error("shown, too");
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_THAT(said, HasSubstr(" WARN  logging_files_test imaging.sobel "));
  EXPECT_THAT(said, HasSubstr("shown, too\n"));
  EXPECT_THAT(said, Not(HasSubstr("not shown")));
}

TEST_F(FilesTest, TheConsoleMayBeStandardOutput) {
  ASSERT_TRUE(InitPlain("{type: stdout}").ok());
  ::testing::internal::CaptureStdout();
  logger_.info("x");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "x\n");
}

// As a terminal behind a shell that has made it non-blocking.
TEST_F(FilesTest, AConsoleThatIsNotBlockingGetsWholeLines) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
  const UniqueFd read_end(ends[0]);
  UniqueFd write_end(ends[1]);
  fcntl(read_end.get(), F_SETFL, 0);
  std::string got;
  std::thread reader([&] {
    char part[1000];
    for (ssize_t n; (n = read(read_end.get(), part, sizeof(part))) > 0;) got.append(part, static_cast<size_t>(n));
  });
  std::string sent;
  const auto console = logging::ConsoleSink(write_end.get());
  for (int i = 0; i < 200; ++i) {
    std::string line(5000, static_cast<char>('a' + i % 26));
    line.push_back('\n');
    console->Write(line);
    sent += line;
  }
  write_end.reset();
  reader.join();
  EXPECT_EQ(got, sent);
}

}  // namespace
}  // namespace puma
