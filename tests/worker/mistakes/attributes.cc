// Mistakes with attributes that the compiler refuses, each with one short text (cmake/PumaMistakes.cmake).
#include <puma/attributes.h>
#include <puma/environment.h>

#include <memory>
#include <string>
#include <vector>

struct NoCodec {
  std::vector<std::string> texts;
};
struct OnlyMoved {
  std::unique_ptr<int> device;
};
struct Pinned {
  Pinned() = default;
  Pinned(const Pinned&) = delete;
};
struct Twelve {
  int numbers[3];
};

class Camera : public puma::Runnable {
 public:
  explicit Camera(puma::Setup& setup) : gain(setup, "gain", 1.0), pinned(setup, "pinned", nullptr), moved(setup, "moved", nullptr) {}
  puma::Copied<double> gain;
  puma::Managed<Pinned, puma::InThread::kShared, puma::InProcess::kNull> pinned;
  puma::Managed<OnlyMoved, puma::InThread::kShared, puma::InProcess::kNotAllowed> moved;
  int plain = 0;
#if defined(COPIED_WITHOUT_CODEC)  // puma: Copied<T> needs a puma::Codec<T>, with threads as well
  puma::Copied<NoCodec> attribute;
#elif defined(SHARED_TOO_LARGE)       // puma: Shared<T> is one lock-free cell of at most 8 bytes; send bigger things through a port
  puma::Shared<Twelve> attribute;
#elif defined(SHARED_TEXT)            // puma: Shared<T> is one lock-free cell of at most 8 bytes; send bigger things through a port
  puma::Shared<std::string> attribute;
#elif defined(MANAGED_WITHOUT_CODEC)  // puma: Managed<T, ..., InProcess::kCopied> needs a puma::Codec<T>
  puma::Managed<NoCodec, puma::InThread::kShared, puma::InProcess::kCopied> attribute;
#elif defined(MANAGED_WITHOUT_COPY)   // puma: Managed<T, InThread::kCopied, ...> needs a copyable T
  puma::Managed<OnlyMoved, puma::InThread::kCopied, puma::InProcess::kNull> attribute;
#endif
};

void Use(puma::Environment& env) {
  auto camera = env.CreateRunner<Camera>("camera");
  camera.parent(&Camera::gain) = 2.0;
#if defined(PARENT_OF_PLAIN_MEMBER)  // puma: only attributes have a parent's half
  camera.parent(&Camera::plain) = 1;
#endif
}
