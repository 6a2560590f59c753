// A task that runs runnables of its own: as threads in a group, as processes in a worker of its own.
#include <puma/environment.h>
#include <puma/module.h>
#include <unistd.h>

namespace {

class Squarer : public puma::Runnable {
 public:
  explicit Squarer(puma::Setup& setup) {
    setup.Command("square", &Squarer::Square, {"number"});
    setup.Command("pid", &Squarer::Pid);
  }
  int Square(int number) { return number * number; }
  int Pid() const { return ::getpid(); }
};

class Boss : public puma::Runnable {
 public:
  explicit Boss(puma::Setup& setup) {
    setup.Command("ask", &Boss::Ask, {"number"});
    setup.Command("helper_pid", &Boss::HelperPid);
    setup.Command("own_pid", &Boss::OwnPid);
  }
  absl::StatusOr<int> Ask(int number) { return helper_->Call(&Squarer::Square, number); }
  absl::StatusOr<int> HelperPid() { return helper_->Call(&Squarer::Pid); }
  int OwnPid() const { return ::getpid(); }

 private:
  absl::Status OnStart() override {
    helper_ = std::make_unique<puma::Runner<Squarer>>(environment().CreateRunner<Squarer>("helper"));
    return helper_->StartBlocking();
  }
  std::unique_ptr<puma::Runner<Squarer>> helper_;
};

}  // namespace

PUMA_MODULE(nested) { module.Add<Boss>("Boss"); }
