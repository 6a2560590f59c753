// A camera that only its own thread may touch, used from a runnable elsewhere.   proxy [threads|processes]
#include <puma/proxy.h>

#include <cstdio>

class Camera {
 public:
  virtual ~Camera() = default;
  virtual absl::Status SetGain(double gain) = 0;
  virtual std::string Model() = 0;
};
template <>
struct puma::Interface<Camera> {
  static void Describe(puma::Methods<Camera>& methods) {
    methods.Add("set_gain", &Camera::SetGain);
    methods.Add("model", &Camera::Model);
  }
};

class FakeCamera : public Camera {
 public:
  absl::Status SetGain(double gain) override {
    gain_ = gain;
    return absl::OkStatus();
  }
  std::string Model() override { return "fake, gain " + std::to_string(static_cast<int>(gain_)); }

 private:
  double gain_ = 1;
};

class Exposure : public puma::Runnable {
 public:
  explicit Exposure(puma::Setup& setup) : camera_(setup.UseFacade<Camera>("camera")) { setup.Command("brighten", &Exposure::Brighten); }
  absl::StatusOr<std::string> Brighten() {
    PUMA_RETURN_IF_ERROR(camera_.Call(&Camera::SetGain, 2.0));
    return camera_.Call(&Camera::Model);
  }

 private:
  puma::Facade<Camera> camera_;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (env == nullptr) return std::fprintf(stderr, "usage: proxy [threads|processes]\n"), 2;
  puma::Proxy<Camera> camera(*env, "camera", [] { return std::make_unique<FakeCamera>(); });  // made on the proxy's thread
  auto exposure = env->CreateRunner<Exposure>("exposure", {.facades = {{"camera", camera.facade()}}});
  PUMA_CHECK_OK(exposure.StartBlocking());
  auto model = exposure.Call(&Exposure::Brighten);
  PUMA_CHECK_OK(model.status());
  std::printf("%s\n", model->c_str());
}
