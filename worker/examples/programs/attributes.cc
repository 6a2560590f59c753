// What each half of a runnable sees.  attributes [threads|processes]
#include <puma/attributes.h>
#include <puma/environment.h>

#include <cstdio>

class Recorder : public puma::Runnable {
 public:
  explicit Recorder(puma::Setup& setup)
      : gain(setup, "gain", 1.0),
        label(setup, "label", "none"),
        frames(setup, "frames"),
        cache(setup, "cache", [] { return std::vector<int>(3, 7); }),
        where(setup, "where", std::string("parent"), [] { return std::string("child"); }) {
    setup.Command("record", &Recorder::Record);
    setup.Command("peek", &Recorder::Peek);
  }
  std::string Record() {
    frames.fetch_add(1);
    gain = *gain * 2;
    return *where + ", gain " + std::to_string(static_cast<int>(*gain)) + ", cache of " + std::to_string(cache->size());
  }
  std::string Peek() { return *label; }  // wrong: it runs in the child

  puma::Copied<double> gain;
  puma::ParentOnly<std::string> label;
  puma::Shared<int> frames;
  puma::ChildOnly<std::vector<int>> cache;
  puma::ScopeSpecific<std::string> where;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (env == nullptr) return std::fprintf(stderr, "usage: attributes [threads|processes]\n"), 2;
  auto recorder = env->CreateRunner<Recorder>("recorder");
  recorder.parent(&Recorder::gain) = 4.0;
  recorder.parent(&Recorder::label) = "first take";
  PUMA_CHECK_OK(recorder.StartBlocking());
  std::printf("%s\n", recorder.Call(&Recorder::Record)->c_str());
  std::printf("parent: gain %.0f, frames %d, %s\n", *recorder.parent(&Recorder::gain), recorder.parent(&Recorder::frames).load(),
              recorder.parent(&Recorder::where)->c_str());
  try {
    recorder.parent(&Recorder::cache)->clear();
  } catch (const puma::WrongScope& e) {
    std::printf("%s\n", e.what());
  }
  std::printf("%s\n", std::string(recorder.Call(&Recorder::Peek).status().message()).c_str());
}
