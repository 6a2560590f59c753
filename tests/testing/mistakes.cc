// Mistakes with test runs that the compiler refuses, each with one short text (cmake/PumaMistakes.cmake).
#include <puma/attributes.h>
#include <puma/testing/test_run.h>

struct ImageHeader {
  int width;
};
class Lamp : public puma::Runnable {
 public:
  explicit Lamp(puma::Setup& setup) : level(setup, "level", 1.0) { setup.Command("dim", &Lamp::Dim, {"by"}); }
  double Dim(double by) { return *level - by; }
  puma::Copied<double> level;
  double plain = 0;
};
struct Candle {
  double Dim(double by) { return by; }
};

void Use(puma::testing::TestRun<Lamp>& run) {
  static_cast<void>(run.Call(&Lamp::Dim, 1.0));
  run.parent(&Lamp::level) = 2.0;
#if defined(TEST_TAKES_BLOCKS)  // puma: a Block is a view: look at it with TakeEach
  run.Take<puma::Block<ImageHeader>>("images");
#elif defined(TEST_PARENT_OF_A_PLAIN_MEMBER)  // puma: only attributes have a parent's half
  run.parent(&Lamp::plain) = 2.0;
#elif defined(TEST_CALL_OF_ANOTHER_CLASS)     // puma: Call takes a method of the test run's own runnable
  static_cast<void>(run.Call(&Candle::Dim, 1.0));
#elif defined(TEST_CALL_WITH_TOO_LITTLE)      // puma: wrong number of arguments for this command
  static_cast<void>(run.Call(&Lamp::Dim));
#elif defined(TEST_CALL_WITH_ANOTHER_TYPE)    // puma: wrong argument types for this command
  static_cast<void>(run.Call(&Lamp::Dim, "much"));
#endif
}
