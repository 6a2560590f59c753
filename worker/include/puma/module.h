#ifndef PUMA_MODULE_H_
#define PUMA_MODULE_H_
// What a module's source includes: the SDK for runnables, and the list of its types that the host reads.
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "puma/runnable.h"

namespace puma {

// The types of one .so. No global state, nothing runs when the file is loaded.
class Module {
 public:
  template <class T>
  void Add(std::string_view name) {
    static_assert(std::is_base_of_v<Runnable, T> && std::is_constructible_v<T, Setup&>,
                  "puma: a module offers classes derived from puma::Runnable with a constructor (puma::Setup&)");
    Add(name, [](Setup& s) -> std::unique_ptr<Runnable> { return std::make_unique<T>(s); });
  }

  using Factory = std::unique_ptr<Runnable> (*)(Setup&);
  void Add(std::string_view name, Factory factory) { types_.emplace_back(std::string(name), factory); }
  const std::vector<std::pair<std::string, Factory>>& types() const { return types_; }

 private:
  std::vector<std::pair<std::string, Factory>> types_;
};

// Changes when a module built with older headers can't be used any more.
inline constexpr int kModuleAbi = 2;

}  // namespace puma

// One per .so; the name is the file's: PUMA_MODULE(edges) { module.Add<EdgeDetector>("EdgeDetector"); } in edges.so.
#define PUMA_MODULE(name)                                                                            \
  extern "C" __attribute__((visibility("default"))) const int puma_abi_##name;                       \
  extern "C" __attribute__((visibility("default"))) const int puma_abi_##name = ::puma::kModuleAbi;  \
  extern "C" __attribute__((visibility("default"))) void puma_module_##name(::puma::Module& module); \
  void puma_module_##name([[maybe_unused]] ::puma::Module& module)
#endif  // PUMA_MODULE_H_
