#include "tests/environment/both_kinds.h"

namespace puma::testing {

absl::Status PublishInts(Environment& environment, const std::vector<std::string>& arguments) {
  auto buffer = environment.OpenBuffer<int>(arguments[0]);
  auto publisher = buffer.Publish();
  const int first = std::stoi(arguments[1]), count = std::stoi(arguments[2]);
  for (int i = 0; i < count; ++i) PUMA_RETURN_IF_ERROR(publisher.PublishValue(first + i, kInfinite));
  if (arguments[3] == "leave") return absl::OkStatus();
  return publisher.PublishComplete(arguments[3] == "complete" ? absl::OkStatus() : absl::DataLossError(arguments[3]));
}

absl::Status TakeInts(Environment& environment, const std::vector<std::string>& arguments) {
  auto buffer = environment.OpenBuffer<int>(arguments[0]);
  Event event;
  auto subscription = buffer.Subscribe(event);
  const size_t count = std::stoul(arguments[1]);
  std::vector<int> values;
  while (values.size() < count) {
    PUMA_RETURN_IF_ERROR(event.Wait(absl::Seconds(60)));
    auto taken = subscription.CallEvents([&](const int& value) { values.push_back(value); });
    if (!taken.ok()) return taken.status();
  }
  return absl::AbortedError(Listed(values));
}

absl::Status TakeIntsToTheEnd(Environment& environment, const std::vector<std::string>& arguments) {
  auto buffer = environment.OpenBuffer<int>(arguments[0]);
  Event event;
  auto subscription = buffer.Subscribe(event);
  std::vector<int> values;
  bool complete = false;
  std::string error;
  while (!complete) {
    PUMA_RETURN_IF_ERROR(event.Wait(absl::Seconds(60)));
    auto taken = subscription.CallEvents([&](const int& value) { values.push_back(value); },
                                         [&](const absl::Status& status) {
                                           complete = true;
                                           error = std::string(status.message());
                                         });
    if (!taken.ok()) return taken.status();
  }
  return absl::AbortedError(Listed(values) + (error.empty() ? "" : " " + error));
}

absl::Status SubscribeAndWait(Environment& environment, const std::vector<std::string>& arguments) {
  auto subscription = environment.OpenBuffer<int>(arguments[0]).Subscribe();
  PUMA_RETURN_IF_ERROR(subscription.status());
  PUMA_RETURN_IF_ERROR(environment.OpenBuffer<int>(arguments[1]).Publish().PublishValue(1));
  Event event;
  auto go = environment.OpenBuffer<int>("go").Subscribe(event);
  return event.Wait(absl::Seconds(60));
}

}  // namespace puma::testing

int main(int argc, char** argv) {
  puma::Init(argc, argv);
  ::testing::InitGoogleMock(&argc, argv);
  return RUN_ALL_TESTS();
}
