// A producer and a consumer, as threads or as processes:   squares [threads|processes] [count]
#include <puma/environment.h>

#include <cstdio>
#include <cstdlib>
#include <string>

struct Square {
  int number;
  long square;
};

absl::Status Produce(puma::Environment& environment, const std::vector<std::string>& arguments) {
  auto publisher = environment.OpenBuffer<Square>("squares").Publish();
  const int count = std::stoi(arguments.at(0));
  for (int i = 1; i <= count; ++i) {
    PUMA_ASSIGN_OR_RETURN(auto loan, publisher.Loan(0, absl::Seconds(10)));  // written where the consumer reads it
    *loan = {i, static_cast<long>(i) * i};
    PUMA_RETURN_IF_ERROR(loan.Publish());
  }
  return publisher.PublishComplete();
}

int main(int argc, char** argv) {
  puma::Init(argc, argv);  // in the producer's process this does not return
  auto environment = puma::CreateEnvironment(argc > 1 ? argv[1] : "threads");
  if (environment == nullptr) {
    std::fprintf(stderr, "usage: squares [threads|processes] [count]\n");
    return EXIT_FAILURE;
  }
  auto squares = environment->CreateBuffer<Square>("squares", {.capacity = 16});
  puma::Event event;
  auto subscription = squares.Subscribe(event);
  puma::Job producer = environment->Launch("producer", &Produce, {argc > 2 ? argv[2] : "10"});

  long sum = 0;
  bool complete = false;
  while (!complete) {
    PUMA_CHECK_OK(event.Wait(absl::Seconds(30)));
    PUMA_CHECK_OK(
        subscription.Drain([&](const Square& each) { sum += each.square; }, [&](const absl::Status&) { complete = true; }).status());
  }
  PUMA_CHECK_OK(producer.Join());
  std::printf("the squares add up to %ld, between %s\n", sum, std::string(environment->kind()).c_str());
}
