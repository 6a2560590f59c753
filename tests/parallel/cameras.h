#ifndef PUMA_TESTS_PARALLEL_CAMERAS_H_
#define PUMA_TESTS_PARALLEL_CAMERAS_H_
// What the tests of facades and references share: a camera that has lenses, and a runnable that uses one.
#include <pthread.h>
#include <puma/proxy.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/worker/programs.h"

namespace puma::testing {

class Lens {
 public:
  explicit Lens(double focus) : focus_(focus) { ++living; }
  Lens(Lens&& other) noexcept : focus_(other.focus_) { ++living; }
  virtual ~Lens() { --living; }
  double Focus() const { return focus_; }
  void SetFocus(double focus) { focus_ = focus; }
  std::unique_ptr<Lens> Twin() const { return std::make_unique<Lens>(focus_ + 1); }
  int Living() const { return living; }
  int Pid() const { return ::getpid(); }
  uint64_t Thread() const { return static_cast<uint64_t>(::pthread_self()); }
  absl::Status Break() { throw std::range_error("the lens is broken"); }
  void Block(int milliseconds) { absl::SleepFor(absl::Milliseconds(milliseconds)); }
  void Unlisted() {}
  static inline std::atomic<int> living{0};

 private:
  double focus_;
};

class Camera {
 public:
  virtual ~Camera() = default;
  absl::Status SetGain(double gain) {
    if (gain < 0) return InvalidArgument("a gain below zero");
    gain_ = gain;
    return absl::OkStatus();
  }
  double Gain() const { return gain_; }
  virtual std::string Model() { return "camera"; }
  std::string Echo(const std::string& text) { return text; }
  absl::StatusOr<int> Break() { throw std::domain_error("the camera is broken"); }
  void Block(int milliseconds) { absl::SleepFor(absl::Milliseconds(milliseconds)); }
  void Nap(int milliseconds) { Block(milliseconds); }
  int Pid() const { return ::getpid(); }
  uint64_t Thread() const noexcept { return static_cast<uint64_t>(::pthread_self()); }
  std::unique_ptr<Lens> NewLens(double focus) { return focus < 0 ? nullptr : std::make_unique<Lens>(focus); }
  Lens& OwnLens() { return lens_; }
  int Living() const { return Lens::living; }
  std::string Describe() { return "gain " + std::to_string(static_cast<int>(gain_.load())); }
  void Hold() {
    holding = true;
    while (hold) absl::SleepFor(absl::Milliseconds(1));
  }
  void Unlisted() {}
  std::atomic<bool> hold{false}, holding{false};  // of Hold

 private:
  std::atomic<double> gain_{1};
  Lens lens_{50};
};
class Phone : public Camera {
 public:
  std::string Model() override { return "phone"; }
};

}  // namespace puma::testing

template <>
struct puma::Interface<puma::testing::Lens> {
  using Lens = puma::testing::Lens;
  static void Describe(puma::Methods<Lens>& methods) {
    methods.Add("focus", &Lens::Focus);
    methods.Add("set_focus", &Lens::SetFocus);
    methods.Add("twin", &Lens::Twin);
    methods.Add("living", &Lens::Living);
    methods.Add("pid", &Lens::Pid);
    methods.Add("thread", &Lens::Thread);
    methods.Add("break", &Lens::Break);
    methods.Add("block", &Lens::Block, {.within = absl::Milliseconds(20), .slow = absl::Milliseconds(10)});
  }
};
template <>
struct puma::Interface<puma::testing::Camera> {
  using Camera = puma::testing::Camera;
  static void Describe(puma::Methods<Camera>& methods) {
    methods.Add("set_gain", &Camera::SetGain);
    methods.Add("gain", &Camera::Gain);
    methods.Add("model", &Camera::Model);
    methods.Add("echo", &Camera::Echo);
    methods.Add("break", &Camera::Break);
    methods.Add("block", &Camera::Block);
    methods.Add("nap", &Camera::Nap, {.slow = absl::Milliseconds(10)});
    methods.Add("hold", &Camera::Hold);
    methods.Add("pid", &Camera::Pid);
    methods.Add("thread", &Camera::Thread);
    methods.Add("new_lens", &Camera::NewLens);
    methods.Add("own_lens", &Camera::OwnLens);
    methods.Add("living", &Camera::Living);
    methods.AddLocal("describe", &Camera::Describe, [](const puma::Facade<Camera>& camera) -> absl::StatusOr<std::string> {
      PUMA_ASSIGN_OR_RETURN(const std::string there, camera.CallRemote(&Camera::Describe));
      PUMA_ASSIGN_OR_RETURN(const std::string model, camera.Call(&Camera::Model));
      return model + " with " + there + ", described in " + std::to_string(::getpid());
    });
  }
};

namespace puma::testing {

// Uses a camera from elsewhere.
class User : public Runnable {
 public:
  explicit User(Setup& setup) : camera_(setup.UseFacade<Camera>("camera")) {
    setup.Command("set_gain", &User::SetGain, {"gain"});
    setup.Command("where", &User::Where);
    setup.Command("break", &User::Break);
    setup.Command("echoes", &User::Echoes, {"threads", "each"});
    setup.Command("describe", &User::Describe);
    setup.Command("hurry", &User::Hurry);
    setup.Command("gain", &User::Gain);
    setup.Command("keep_lens", &User::KeepLens, {"focus"});
    setup.Command("twin_focus", &User::TwinFocus);
    setup.Command("drop_lens", &User::DropLens);
  }
  absl::Status SetGain(double gain) { return camera_.Call(&Camera::SetGain, gain); }
  absl::StatusOr<double> Gain() { return camera_.Call(&Camera::Gain); }
  absl::StatusOr<int> Where() { return camera_.Call(&Camera::Pid); }
  absl::Status Break() { return camera_.Call(&Camera::Break).status(); }
  absl::StatusOr<std::string> Describe() { return camera_.Call(&Camera::Describe); }
  absl::Status Hurry() { return camera_.CallWithin(absl::Milliseconds(1), &Camera::Block, 50); }
  // How many answers were not the caller's own.
  int Echoes(int threads, int each) {
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (int i = 0; i < threads; ++i) {
      callers.emplace_back([&, i] {
        for (int n = 0; n < each; ++n) {
          const std::string text(static_cast<size_t>(i * 1000 + n), static_cast<char>('a' + i));
          auto echo = camera_.Call(&Camera::Echo, text);
          if (!echo.ok() || *echo != text) ++wrong;
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    return wrong;
  }
  absl::Status KeepLens(double focus) {
    PUMA_ASSIGN_OR_RETURN(auto lens, camera_.Call(&Camera::NewLens, focus));
    lenses_.push_back(std::move(lens));
    return absl::OkStatus();
  }
  absl::StatusOr<double> TwinFocus() {
    PUMA_ASSIGN_OR_RETURN(auto twin, lenses_.back().Call(&Lens::Twin));
    return twin.Call(&Lens::Focus);
  }
  void DropLens() { lenses_.pop_back(); }

 private:
  Facade<Camera> camera_;
  std::vector<Remote<Lens>> lenses_;
};

}  // namespace puma::testing
#endif  // PUMA_TESTS_PARALLEL_CAMERAS_H_
