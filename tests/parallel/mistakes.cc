// Mistakes that the compiler refuses, each with one short text: cmake/PumaMistakes.cmake compiles them one by one.
#include <puma/parallel.h>
#include <puma/proxy.h>

#include <memory>
#include <string>
#include <vector>

struct NotPassable {
  std::string text;
  virtual ~NotPassable() = default;
};
struct Lens {
  virtual ~Lens() = default;
  double Focus() { return 1; }
};
template <>
struct puma::Interface<Lens> {
  static void Describe(puma::Methods<Lens>& methods) { methods.Add("focus", &Lens::Focus); }
};
struct Camera {
  virtual ~Camera() = default;
  double Gain(int channel) { return channel; }
  void Store(const NotPassable&) {}
  NotPassable Load() { return {}; }
  const Lens& View() { return lens; }
  Lens lens;
};
template <>
struct puma::Interface<Camera> {
  static void Describe(puma::Methods<Camera>& methods) {
    methods.Add("gain", &Camera::Gain);
#if defined(METHOD_ARGUMENT)  // an argument of this method can't be passed: use plain types or give it a puma::Codec
    methods.Add("store", &Camera::Store);
#elif defined(METHOD_RESULT)    // this result can't leave its process: use a plain type, give it a puma::Codec, or list its methods
    methods.Add("load", &Camera::Load);
#elif defined(CONST_REFERENCE)  // what is referred to is not const: return an X&, a std::shared_ptr<X> or an X by value
    methods.Add("view", &Camera::View);
#elif defined(LOCAL_BODY)       // a local body is a function, or a lambda without captures
    int offset = 1;
    methods.AddLocal("gain", &Camera::Gain, [offset](const puma::Facade<Camera>&, int c) -> absl::StatusOr<double> { return c + offset; });
#endif
  }
};

double Half(double x) { return x / 2; }
NotPassable Odd(int) { return {}; }

void Jobs(puma::Environment& env) {
  auto results = env.CreateBuffer<double>("results");
  puma::Pool<double> pool(env, 1, "pool", results);
  puma::Executor executor(env, 1);
  static_cast<void>(pool.Submit<&Half>(1));
  static_cast<void>(executor.Submit([](int n) { return n; }, 1));
#if defined(CAPTURE)  // puma: a job may not capture: captures can't reach another process. Pass values as arguments
  double factor = 2;
  static_cast<void>(pool.Submit([factor](double x) { return x * factor; }, 1.0));
#elif defined(POINTER)             // puma: give a function as Submit<&Function>(args...), so that a process can find it
  static_cast<void>(pool.Submit(&Half, 1.0));
#elif defined(JOB_ARGUMENT)        // puma: an argument of this job can't be passed: use plain types or give it a puma::Codec
  static_cast<void>(executor.Submit([](const NotPassable&) { return 1; }, NotPassable()));
#elif defined(JOB_COUNT)           // puma: wrong arguments for this job
  static_cast<void>(pool.Submit<&Half>(1.0, 2.0));
#elif defined(JOB_RESULT)          // puma: this job's result can't be passed: use a plain type or give it a puma::Codec
  static_cast<void>(executor.Submit<&Odd>(1));
#elif defined(POOL_WITHOUT_CODEC)  // puma: a pool's results travel through a buffer: use a plain type or give it a puma::Codec
  puma::Pool<NotPassable> odd(env, 1, "odd", env.CreateBuffer<NotPassable>("odd"));
#elif defined(POOL_RESULT)         // puma: this job's result is not what the pool collects
  static_cast<void>(pool.Submit([](int) { return std::string(); }, 1));
#elif defined(MAP_ARGUMENTS)       // puma: wrong arguments for this job
  static_cast<void>(executor.Map<&Half>(std::vector<std::string>{}));
#endif
}

struct Other {
  void Nothing() {}
};
void Calls(puma::Environment& env) {
  Camera object;
  puma::Proxy<Camera> proxy(env, "camera", object);
  auto camera = proxy.facade();
  static_cast<void>(camera.Call(&Camera::Gain, 1));
#if defined(FACADE_METHOD)  // puma: this is no method of the interface
  static_cast<void>(camera.Call(&Other::Nothing));
#elif defined(FACADE_COUNT)  // puma: wrong number of arguments for this method
  static_cast<void>(camera.Call(&Camera::Gain));
#elif defined(FACADE_TYPES)  // puma: wrong argument types for this method
  static_cast<void>(camera.Call(&Camera::Gain, std::string()));
#elif defined(NO_INTERFACE)  // puma: list the methods of this class in a puma::Interface, before its first use
  Other other;
  puma::Proxy<Other> unknown(env, "other", other);
#endif
}
