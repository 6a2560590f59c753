// Driven by commands, from its parent; errors go to the caller and the runnable goes on.  player [threads|processes]
#include <puma/environment.h>

#include <cstdio>
#include <stdexcept>

class Player : public puma::Runnable {
 public:
  explicit Player(puma::Setup& setup) : position_status_(setup.Status<int>()) {
    setup.Command("pause", &Player::Pause);
    setup.Command("seek", &Player::Seek, {"position"}, "frame to go to, from 0");
  }
  void Pause() { paused_ = true; }
  absl::StatusOr<int> Seek(int position) {
    if (position < 0) throw std::out_of_range("before the beginning");
    std::swap(position, position_);
    position_status_.Send(position_);
    return position;
  }

 private:
  bool paused_ = false;
  int position_ = 0;
  puma::StatusPort<int> position_status_;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "processes");
  if (env == nullptr) return std::fprintf(stderr, "usage: player [threads|processes]\n"), 2;
  auto player = env->CreateRunner<Player>("player");
  PUMA_CHECK_OK(player.StartBlocking());
  PUMA_CHECK_OK(player.Call(&Player::Pause));
  absl::StatusOr<int> before = player.Call(&Player::Seek, 7);
  PUMA_CHECK_OK(before.status());
  std::printf("it was at %d\n", *before);
  std::printf("seek -1: %s", puma::Explain(player.Call(&Player::Seek, -1).status()).c_str());
  std::printf("it is at %d\n", *player.WaitForStatus<int>(absl::Seconds(1)));
  PUMA_CHECK_OK(player.Close());
}
