// Runnables of the system tests: numbers go in, and what came out is asked for by a command.
#include <puma/module.h>
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <set>
#include <stdexcept>
#include <thread>

namespace {

// Publishes 0, 1, 2, ... and completes. A restarted one begins anew: what counts is what arrives.
class Counter : public puma::Runnable {
 public:
  explicit Counter(puma::Setup& setup)
      : count_(setup.Param("count", 1000, "how many numbers; 0: until it is stopped")),
        pause_(setup.Param("pause", absl::ZeroDuration(), "between two numbers")),
        first_(setup.Param("first", 0, "the first number")),
        numbers_(setup.Output<int64_t>("numbers")) {}

 private:
  absl::Status Execute() override {
    for (int64_t n = 0; (count_ == 0 || n < count_) && PollCommands(); ++n) {
      PUMA_RETURN_IF_ERROR(numbers_.PublishValue(first_ + n));
      if (pause_ > absl::ZeroDuration() && !WaitForCommands(pause_)) break;
    }
    return absl::OkStatus();
  }
  int count_;
  absl::Duration pause_;
  int first_;
  puma::Output<int64_t> numbers_;
};

// Publishes when it is told to.
class Teller : public puma::Runnable {
 public:
  explicit Teller(puma::Setup& setup) : numbers_(setup.Output<int64_t>("numbers")) {
    setup.Command("tell", &Teller::Tell, {"first", "count"}, "publishes so many numbers");
    setup.Command("complete", &Teller::Complete);
  }

 private:
  absl::Status Tell(int first, int count) {
    for (int n = first; n < first + count; ++n) PUMA_RETURN_IF_ERROR(numbers_.PublishValue(n));
    return absl::OkStatus();
  }
  absl::Status Complete() { return numbers_.PublishComplete(); }
  puma::Output<int64_t> numbers_;
};

class Relay : public puma::Runnable {
 public:
  explicit Relay(puma::Setup& setup)
      : work_(setup.Param("work", absl::ZeroDuration(), "spent on each number")),
        poison_(setup.Param("poison", -1, "this number kills the process, each time")),
        refuse_(setup.Param("refuse", -1, "this number is an error, each time")),
        gate_(setup.Param("gate", "", "a file; each number adds a line to GATE.waits and waits until the file is there; empty: none")),
        out_(setup.Output<int64_t>("out")) {
    setup.Input("in", &Relay::OnNumber);
  }

 private:
  absl::Status OnNumber(const int64_t& number) {
    if (work_ > absl::ZeroDuration()) std::this_thread::sleep_for(absl::ToChronoNanoseconds(work_));
    if (!gate_.empty() && access(gate_.c_str(), F_OK) != 0) {
      std::ofstream(gate_ + ".waits", std::ios::app) << number << '\n';
      while (access(gate_.c_str(), F_OK) != 0) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (number == poison_) abort();
    if (number == refuse_) return puma::InvalidArgument("it is refused");
    return out_.PublishValue(number);
  }
  absl::Duration work_;
  int64_t poison_, refuse_;
  std::string gate_;
  puma::Output<int64_t> out_;
};

// Publishes texts of any size when it is told to: a number, and padding.
class Talker : public puma::Runnable {
 public:
  explicit Talker(puma::Setup& setup) : texts_(setup.Output<std::string>("texts")) {
    setup.Command("say", &Talker::Say, {"number", "bytes"});
    setup.Command("complete", &Talker::Complete);
  }

 private:
  absl::Status Say(int number, int bytes) {
    std::string text = std::to_string(number) + " ";
    text.resize(std::max(text.size(), static_cast<size_t>(bytes)), 'x');
    return texts_.PublishValue(text);
  }
  absl::Status Complete() { return texts_.PublishComplete(); }
  puma::Output<std::string> texts_;
};

// A line for each text: its number and its size.
class Listener : public puma::Runnable {
 public:
  explicit Listener(puma::Setup& setup) : file_(setup.Param("path", "/dev/null", "a file that gets the lines"), std::ios::app) {
    setup.Input("in", &Listener::OnText);
  }

 private:
  absl::Status OnText(const std::string& text) {
    file_ << text.substr(0, text.find(' ')) + " " + std::to_string(text.size()) + "\n" << std::flush;
    return absl::OkStatus();
  }
  std::ofstream file_;
};

// Keeps what came, over its own death too: one line per message in a file.
class Collector : public puma::Runnable {
 public:
  explicit Collector(puma::Setup& setup)
      : path_(setup.Param("path", "", "a file that gets a line for each number, and PATH.missed one for what was missed; empty: none")),
        work_(setup.Param("work", absl::ZeroDuration(), "spent on each number")) {
    setup.Input("in", &Collector::OnNumber);
    setup.Command("distinct", &Collector::Distinct, "how many different numbers have come");
    setup.Command("again", &Collector::Again, "how many messages have come that were there already");
    setup.Command("total", &Collector::Total, "how many messages have come");
  }
  int64_t Distinct() const { return static_cast<int64_t>(seen_.size()); }
  int64_t Again() const { return total_ - Distinct(); }
  int64_t Total() const { return total_; }

 private:
  absl::Status OnStart() override {
    if (path_.empty()) return absl::OkStatus();
    std::ifstream before(path_);
    for (int64_t number; before >> number;) seen_.insert(number), ++total_;
    file_.open(path_, std::ios::app);
    return file_ ? absl::OkStatus() : puma::InvalidArgument("path " + path_ + " can't be written");
  }
  absl::Status OnNumber(const int64_t& number, const puma::Message& message) {
    if (work_ > absl::ZeroDuration()) std::this_thread::sleep_for(absl::ToChronoNanoseconds(work_));
    if (message.missed > 0 && !path_.empty()) std::ofstream(path_ + ".missed", std::ios::app) << message.missed << '\n';
    seen_.insert(number);
    ++total_;
    if (message.delivery > 1) log().info("number {} came for the {}. time", number, message.delivery);
    if (file_.is_open()) file_ << number << '\n' << std::flush;
    return absl::OkStatus();
  }
  std::string path_;
  absl::Duration work_;
  std::ofstream file_;
  std::set<int64_t> seen_;
  int64_t total_ = 0;
};

// Does as it is told, and misbehaves when it is told to.
class Servant : public puma::Runnable {
 public:
  explicit Servant(puma::Setup& setup)
      : mode_(setup.Param("mode", "good", "good, throw_in_constructor, throw_on_start, fail_on_start, hang_on_start, exit_on_start")) {
    if (mode_ == "throw_in_constructor") throw std::runtime_error("no such device: /dev/nothing");
    setup.Command("add", &Servant::Add, {"a", "b"}, "their sum");
    setup.Command("echo", &Servant::Echo, {"text"});
    setup.Command("refuse", &Servant::Refuse, {"why"});
    setup.Command("throws", &Servant::Throws, {"what"});
    setup.Command("say", &Servant::Say, {"text", "times"}, "logs it so many times");
    setup.Command("print", &Servant::Print, {"text"}, "writes it to standard output and standard error");
    setup.Command("crash", &Servant::Crash);
    setup.Command("leave", &Servant::Leave, {"code"});
    setup.Command("nap", &Servant::Nap, {"how_long"});
    setup.Command("child", &Servant::Child, "forks a process that ignores SIGTERM; its pid");
  }
  int Add(int a, int b) { return a + b; }
  std::string Echo(std::string text) { return text; }
  absl::Status Refuse(std::string why) { return puma::FailedPrecondition(why); }
  void Throws(std::string what) { throw std::out_of_range(what); }
  void Say(std::string text, int times) {
    for (int i = 0; i < times; ++i) log().info("{} {}", text, i);
  }
  void Print(std::string text) {
    dprintf(1, "%s to stdout\n", text.c_str());
    dprintf(2, "%s to stderr\n", text.c_str());
  }
  void Crash() { *static_cast<volatile int*>(nullptr) = 1; }
  void Leave(int code) { _exit(code); }
  void Nap(absl::Duration how_long) { std::this_thread::sleep_for(absl::ToChronoNanoseconds(how_long)); }
  int Child() {
    const int pid = fork();
    if (pid != 0) return pid;
    setsid();
    signal(SIGTERM, SIG_IGN);
    for (;;) pause();
  }

 private:
  absl::Status OnStart() override {
    if (mode_ == "throw_on_start") throw std::runtime_error("the device is busy");
    if (mode_ == "fail_on_start") return puma::InvalidArgument("mode fail_on_start was asked for");
    if (mode_ == "hang_on_start") std::this_thread::sleep_for(std::chrono::hours(1));
    if (mode_ == "exit_on_start") _exit(7);
    return absl::OkStatus();
  }
  std::string mode_;
};

}  // namespace

PUMA_MODULE(flow) {
  module.Add<Counter>("Counter");
  module.Add<Teller>("Teller");
  module.Add<Talker>("Talker");
  module.Add<Listener>("Listener");
  module.Add<Relay>("Relay");
  module.Add<Collector>("Collector");
  module.Add<Servant>("Servant");
}
