// Mistakes with runnables, modules and runners that the compiler refuses, each with one short text (cmake/PumaMistakes.cmake).
#include <puma/environment.h>
#include <puma/module.h>

#include <string>
#include <vector>

struct NoCodec {
  std::vector<std::string> texts;
};
struct Stranger {
  double Gain(int channel) { return channel; }
};

class Camera : public puma::Runnable {
 public:
  explicit Camera(puma::Setup& setup) {
    setup.Command("gain", &Camera::Gain, {"channel"});
    setup.Command("size", &Camera::Size, {"channel"});
    setup.Input("numbers", &Camera::OnNumber);
    auto level = setup.Param("level", 1.0, "how much");
    auto output = setup.Output<double>("values");
    auto status = setup.Status<double>();
#if defined(PORT_OF_CONSTANTS)  // puma: a port carries values
    setup.Output<const double>("constants");
#elif defined(PORT_OF_POINTERS)          // puma: pointers, views and references can't travel
    setup.Output<int*>("pointers");
#elif defined(INPUT_OF_POINTERS)         // puma: pointers, views and references can't travel
    setup.Input("pointers", &Camera::OnPointer);
#elif defined(COMMAND_NAMES)             // puma: a command needs one name for each argument of its method
    setup.Command("gain", &Camera::Gain, {"channel", "more"});
#elif defined(CONST_COMMAND_NAMES)       // puma: a command needs one name for each argument of its method
    setup.Command("size", &Camera::Size, {"channel", "more"});
#elif defined(COMMAND_ARGUMENT)          // puma: an argument of this command can't be passed: use plain types or give it a puma::Codec
    setup.Command("store", &Camera::Store, {"what"});
#elif defined(COMMAND_OF_ANOTHER_CLASS)  // puma: a handler or command must be a method of a class derived from puma::Runnable
    setup.Command("gain", &Stranger::Gain, {"channel"});
#elif defined(PARAMETER_WITHOUT_A_FORM)  // puma: a parameter is a bool, number, std::string, absl::Duration
    setup.Param("odd", NoCodec(), "unspeakable");
#elif defined(STATUS_WITHOUT_CODEC)      // puma: a status is a plain type, or has a puma::Codec
    setup.Status<NoCodec>();
#endif
  }
  double Gain(int channel) { return channel; }
  int Size(int channel) const { return channel; }
  void Store(const NoCodec&) {}
  void OnNumber(const double&) {}
  void OnPointer(int* const&) {}
};
class Lens : public puma::Runnable {
 public:
  Lens(puma::Setup&, int) {}
  double Focus() { return 1; }
};
class Shape : public puma::Runnable {
 public:
  explicit Shape(puma::Setup&) {}
  virtual double Area() = 0;
};

void Offer(puma::Module& module) {
  module.Add<Camera>("camera");
#if defined(MODULE_OF_STRANGERS)  // puma: a module offers classes derived from puma::Runnable with a constructor (puma::Setup&)
  module.Add<Stranger>("stranger");
#endif
}

void Run(puma::Environment& env) {
  auto camera = env.CreateRunner<Camera>("camera");
  static_cast<void>(camera.Call(&Camera::Gain, 1));
  static_cast<void>(puma::Value::Of(1.5));
#if defined(RUNNER_OF_STRANGERS)  // puma: a runner runs classes derived from puma::Runnable
  env.CreateRunner<Stranger>("stranger");
#elif defined(RUNNABLE_WITH_ARGUMENTS)    // puma: a runnable is constructed from (puma::Setup&): use parameters and ports
  env.CreateRunner<Lens>("lens");
#elif defined(RUNNABLE_THAT_IS_ABSTRACT)  // puma: this runnable is abstract
  env.CreateRunner<Shape>("shape");
#elif defined(CALL_OF_ANOTHER_CLASS)      // puma: Call takes a method of the runner's own runnable
  static_cast<void>(camera.Call(&Lens::Focus));
#elif defined(CALL_COUNT)                 // puma: wrong number of arguments for this command
  static_cast<void>(camera.Call(&Camera::Gain));
#elif defined(CALL_TYPES)                 // puma: wrong argument types for this command
  static_cast<void>(camera.Call(&Camera::Gain, std::string()));
#elif defined(VALUE_WITHOUT_CODEC)  // puma: this argument or result can't leave its process: use a plain type or give it a puma::Codec
  static_cast<void>(puma::Value::Of(NoCodec()));
#endif
}
