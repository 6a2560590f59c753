// Runnables that behave, and some that don't, for the tests of worker and runner.
#include <puma/module.h>

#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Header {
  uint32_t width, height;
};
using Image = puma::Block<Header>;

struct BadNews : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Driven by commands.
class Player : public puma::Runnable {
 public:
  explicit Player(puma::Setup& setup)
      : limit_(setup.Param("limit", 10, "largest position")), title_(setup.RequiredParam<std::string>("title", "what is played")) {
    setup.Command("seek", &Player::Seek, {"position"}, "goes to a frame");
    setup.Command("title", &Player::Title);
    setup.Command("sum", &Player::Sum, {"values", "scale"});
    setup.Command("fail", &Player::FailDeep);
    setup.Command("crash", &Player::Crash);
    setup.Command("leave", &Player::LeaveProcess, {"code"});
    setup.Command("say", &Player::Say, {"text"});
  }

 private:
  absl::StatusOr<int> Seek(int position) {
    if (position < 0 || position > limit_) return puma::OutOfRange("no such frame");
    std::swap(position, position_);
    return position;
  }
  std::string Title() const { return title_; }
  double Sum(std::vector<double> values, double scale) {
    double sum = 0;
    for (double v : values) sum += v * scale;
    return sum;
  }
  void FailDeep() {
    try {
      throw std::out_of_range("the inner one");
    } catch (...) {
      std::throw_with_nested(BadNews("the outer one"));
    }
  }
  void Crash() { *static_cast<volatile int*>(nullptr) = 1; }
  void LeaveProcess(int code) { std::exit(code); }
  void Say(const std::string& text) {
    std::printf("%s on stdout\n", text.c_str());
    std::fprintf(stderr, "%s on stderr\n", text.c_str());
    log().info("{} in the log", text);
    log().debug("{} below the level", text);
  }
  int limit_;
  std::string title_;
  int position_ = 0;
};

// Publishes 1..count, then is done.
class Counter : public puma::Runnable {
 public:
  explicit Counter(puma::Setup& setup) : count_(setup.Param("count", 100, "how many")), out_(setup.Output<int64_t>("numbers")) {}

 private:
  absl::Status Execute() override {
    for (int64_t i = 1; i <= count_; ++i) {
      if (!PollCommands()) return absl::OkStatus();
      PUMA_RETURN_IF_ERROR(out_.PublishValue(i));
    }
    return absl::OkStatus();
  }
  int count_;
  puma::Output<int64_t> out_;
};

// Adds up, and says the sum at the end.
class Adder : public puma::Runnable {
 public:
  explicit Adder(puma::Setup& setup) { setup.Input("numbers", &Adder::OnNumber, {.help = "to be added"}); }

 private:
  void OnNumber(int64_t n) { sum_ += n; }
  bool OnEnd(const absl::Status&) override {
    log().info("the sum is {}", sum_);
    return false;
  }
  int64_t sum_ = 0;
};

// Numbers to images.
class Painter : public puma::Runnable {
 public:
  explicit Painter(puma::Setup& setup) : out_(setup.Output<Image>("images", {.optional = true})) {
    setup.Input("numbers", &Painter::OnNumber, {.optional = true});
  }

 private:
  absl::Status OnNumber(const int64_t& n, const puma::Message&) {
    PUMA_ASSIGN_OR_RETURN(auto image, out_.Loan(16));
    image->width = static_cast<uint32_t>(n);
    image->height = 1;
    image.bytes()[0] = std::byte(n);
    return image.Publish();
  }
  puma::Output<Image> out_;
};

class ThrowsInConstructor : public puma::Runnable {
 public:
  explicit ThrowsInConstructor(puma::Setup& setup) {
    if (setup.scope() == puma::Scope::kChild) throw BadNews("no camera");
  }
};

class FailsToStart : public puma::Runnable {
 public:
  explicit FailsToStart(puma::Setup&) {}

 private:
  absl::Status OnStart() override { return puma::NotFound("no such device"); }
};

}  // namespace

PUMA_MODULE(sample_module) {
  module.Add<Player>("Player");
  module.Add<Counter>("Counter");
  module.Add<Adder>("Adder");
  module.Add<Painter>("Painter");
  module.Add<ThrowsInConstructor>("ThrowsInConstructor");
  module.Add<FailsToStart>("FailsToStart");
}
