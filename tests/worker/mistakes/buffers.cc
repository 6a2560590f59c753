// Mistakes with buffers that the compiler refuses, each with one short text (cmake/PumaMistakes.cmake).
#include <puma/environment.h>

#include <span>
#include <string>
#include <string_view>

struct alignas(128) Coarse {
  char bytes[128];
};
struct Named {
  std::string name;
};

void Use(puma::Environment& env, puma::Publisher<std::string>& texts, puma::Subscription<std::string>& read,
         puma::Publisher<double>& numbers, puma::Subscription<double>& taken) {
  auto buffer = env.CreateBuffer<double>("values");
  auto same = env.OpenBuffer<double>("values");
  static_cast<void>(numbers.PublishValues({}));
  static_cast<void>(numbers.Loan());
  static_cast<void>(taken.DrainRuns([](std::span<const double>) {}));
  static_cast<void>(texts.PublishValue("a"));
  static_cast<void>(read);
#if defined(BUFFER_OF_POINTERS)  // puma: pointers, views and references can't travel
  env.CreateBuffer<int*>("pointers");
#elif defined(BUFFER_OF_VIEWS)    // puma: pointers, views and references can't travel
  env.OpenBuffer<std::string_view>("views");
#elif defined(ARRAY_OF_TEXTS)     // puma: only plain values lie in an array as they lie in the buffer
  static_cast<void>(texts.PublishValues({}));
#elif defined(LOAN_OF_A_TEXT)     // puma: only plain structs and Blocks can be written in place
  static_cast<void>(texts.Loan());
#elif defined(RUNS_OF_TEXTS)      // puma: only plain values lie one after the other
  static_cast<void>(read.DrainRuns([](std::span<const std::string>) {}));
#elif defined(COARSELY_ALIGNED)   // puma: lanes align to 64 bytes at most
  env.CreateBuffer<Coarse>("coarse");
#elif defined(BLOCK_WITH_A_TEXT)  // puma: a Block's header is a plain struct
  env.CreateBuffer<puma::Block<Named> >("blocks");
#endif
}
