#include "worker/examples/edges/tally.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace edges {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1000);

EdgesHeader Frame(uint64_t number, uint64_t total, std::string_view detector = "edges/detector.0", double threshold = 0.2) {
  EdgesHeader header{.image = {.number = number, .total = total}, .threshold = threshold};
  detector.copy(header.detector, sizeof(header.detector));
  return header;
}

TEST(Tally, CountsDistinctFramesAndThoseThatCameTwice) {
  Tally tally;
  EXPECT_TRUE(tally.Add(Frame(0, 3), 10, false, kStart));
  EXPECT_TRUE(tally.Add(Frame(2, 3), 10, false, kStart + absl::Seconds(1)));
  EXPECT_FALSE(tally.Add(Frame(0, 3), 10, true, kStart + absl::Seconds(2)));
  EXPECT_EQ(tally.distinct(), 2u);
  EXPECT_EQ(tally.Missing(), std::vector<uint64_t>{1});
  const auto json = nlohmann::json::parse(tally.AsJson(false, "a.png"));
  EXPECT_EQ(json["frames_distinct"], 2);
  EXPECT_EQ(json["frames_twice"], 1);
  EXPECT_EQ(json["frames_redelivered"], 1);
  EXPECT_EQ(json["frames_missing"], nlohmann::json::array({1}));
  EXPECT_EQ(json["bytes"], 30);
  EXPECT_EQ(json["seconds"], 2.0);
  EXPECT_EQ(json["complete"], false);
}

TEST(Tally, NamesWhatIsMissingAtTheEnd) {
  Tally tally;
  tally.Add(Frame(0, 4), 1, false, kStart);
  EXPECT_EQ(tally.Missing(), (std::vector<uint64_t>{1, 2, 3}));
}

TEST(Tally, TellsWhoFoundWhatWithWhichThreshold) {
  Tally tally;
  tally.Add(Frame(0, 0, "edges/detector.0", 0.2), 1, false, kStart);
  tally.Add(Frame(1, 0, "edges/detector.1", 0.2), 1, false, kStart);
  tally.Add(Frame(2, 0, "edges/detector.0", 0.05), 1, false, kStart);
  const auto json = nlohmann::json::parse(tally.AsJson(true, ""));
  EXPECT_EQ(json["by_detector"], (nlohmann::json{{"edges/detector.0", 2}, {"edges/detector.1", 1}}));
  EXPECT_EQ(json["by_threshold"], (nlohmann::json{{"0.05", 1}, {"0.2", 2}}));
}

TEST(Tally, AddsUpWhatWasCopiedOnTheWay) {
  Tally tally;
  EdgesHeader header = Frame(0, 2);
  header.image.copied_bytes = 300;
  tally.Add(header, 100, false, kStart);
  tally.Add(Frame(1, 2), 100, false, kStart);
  EXPECT_EQ(nlohmann::json::parse(tally.AsJson(true, ""))["copied_bytes_per_frame"], 150.0);
}

TEST(Tally, AnEmptyOneIsValidJson) {
  const auto json = nlohmann::json::parse(Tally().AsJson(true, "a \"quoted\" path.png"));
  EXPECT_EQ(json["frames_distinct"], 0);
  EXPECT_EQ(json["picture"], "a \"quoted\" path.png");
}

TEST(Tally, ADetectorsNameThatFillsItsFieldIsCut) {
  const std::string name(100, 'x');
  EXPECT_EQ(Detector(Frame(0, 1, name)), std::string(sizeof(EdgesHeader::detector), 'x'));
}

}  // namespace
}  // namespace edges
