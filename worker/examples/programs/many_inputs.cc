// Several inputs: one subscriber that serves two of them completes once, with the last.  many_inputs [threads|processes]
#include <puma/environment.h>

#include <cstdio>

class Adder : public puma::Runnable, private puma::Subscriber<int> {
 public:
  explicit Adder(puma::Setup& setup) : results_(setup.Output<std::string>("results")) {
    setup.Input("left", *this);
    setup.Input("right", *this);
    setup.Input("notes", &Adder::OnNote);
  }

 private:
  absl::Status OnValue(const int& value) override {
    total_ += value;
    return absl::OkStatus();
  }
  absl::Status OnComplete(const absl::Status& error) override {
    if (!error.ok()) return error;
    return results_.PublishValue("left and right are complete: " + std::to_string(total_), absl::Seconds(5));
  }
  absl::Status OnNote(const std::string& note) { return results_.PublishValue("a note: " + note, absl::Seconds(5)); }

  int total_ = 0;
  puma::Output<std::string> results_;
};

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  auto env = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (env == nullptr) return std::fprintf(stderr, "usage: many_inputs [threads|processes]\n"), 2;
  auto left = env->CreateBuffer<int>("left"), right = env->CreateBuffer<int>("right");
  auto notes = env->CreateBuffer<std::string>("notes"), results = env->CreateBuffer<std::string>("results");
  auto adder = env->CreateRunner<Adder>(
      "adder", {.inputs = {{"left", left}, {"right", right}, {"notes", notes}}, .outputs = {{"results", results}}});
  PUMA_CHECK_OK(adder.StartBlocking());
  auto l = left.Publish(), r = right.Publish();
  auto n = notes.Publish();
  PUMA_CHECK_OK(l.PublishValue(1));
  PUMA_CHECK_OK(l.PublishComplete());
  PUMA_CHECK_OK(r.PublishValue(41));
  PUMA_CHECK_OK(r.PublishComplete());
  PUMA_CHECK_OK(n.PublishValue("hello"));
  PUMA_CHECK_OK(n.PublishComplete());
  puma::Event event;  // one event serves any number of subscriptions; here it is one
  auto subscription = results.Subscribe(event);
  for (bool complete = false; !complete;) {
    PUMA_CHECK_OK(event.Wait(absl::Seconds(60)));
    PUMA_CHECK_OK(
        subscription
            .Drain([](const std::string& text) { std::printf("%s\n", text.c_str()); }, [&](const absl::Status&) { complete = true; })
            .status());
  }
}
