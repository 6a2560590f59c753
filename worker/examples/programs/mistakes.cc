// Everything that is wrong is said at once, before anything starts; types that can't leave their process are refused between processes.
#include <puma/environment.h>

#include <cstdio>
#include <memory>

struct Frame {
  std::string text;
};

class Sink : public puma::Runnable {
 public:
  explicit Sink(puma::Setup& setup)
      : rate_(setup.Param("rate", 30, "frames a second")), directory_(setup.RequiredParam<std::string>("directory", "where to write")) {
    setup.Input("frames", &Sink::OnFrame);
    setup.Input("marks", &Sink::OnMark);
  }

 private:
  void OnFrame(std::unique_ptr<Frame> frame) { std::printf("%s: %s\n", directory_.c_str(), frame->text.c_str()); }
  void OnMark(const int&) {}
  int rate_;
  std::string directory_;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  for (const char* kind : {"threads", "processes"}) {
    auto env = puma::CreateEnvironment(kind);
    auto frames = env->CreateBuffer<std::unique_ptr<Frame>>("frames");
    auto texts = env->CreateBuffer<std::string>("texts");
    auto sink = env->CreateRunner<Sink>(
        "sink", {.inputs = {{"frames", frames}, {"marks", texts}, {"mark", texts}}, .params = {{"rate", "fast"}, {"directroy", "photos"}}});
    std::printf("-- %s\n%s\n", kind, std::string(sink.Start().message()).c_str());
  }
  puma::ThreadEnvironment env;
  auto frames = env.CreateBuffer<std::unique_ptr<Frame>>("frames");
  auto marks = env.CreateBuffer<int>("marks");
  auto sink = env.CreateRunner<Sink>("sink", {.inputs = {{"frames", frames}, {"marks", marks}}, .params = {{"directory", "photos"}}});
  PUMA_CHECK_OK(sink.StartBlocking());
  auto publisher = frames.Publish();
  PUMA_CHECK_OK(publisher.PublishValue(std::make_unique<Frame>(Frame{"a frame that was moved, not copied"})));
  PUMA_CHECK_OK(publisher.PublishComplete());
  PUMA_CHECK_OK(marks.Publish().PublishComplete());
  PUMA_CHECK_OK(sink.Join(absl::Seconds(60)));
}
