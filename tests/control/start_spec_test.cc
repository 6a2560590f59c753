#include "worker/control/start_spec.h"

#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

namespace puma::control {
namespace {

using ::testing::HasSubstr;

StartSpec Full() {
  StartSpec spec;
  spec.pipeline = "doors";
  spec.name = "detector.0";
  spec.task = ~uint64_t{0};
  spec.run = 7;
  spec.ticket = 1ULL << 63;
  spec.slot = 3;
  spec.module = "/usr/lib/puma/edges.so";
  spec.module_name = "edges";
  spec.type = "EdgeDetector";
  spec.params = {{"threshold", "0.5"}, {"label", "\"\\u00e4\""}};
  spec.log_level = -1;
  spec.page = 99;
  spec.alone = false;
  spec.inputs.push_back({"frames", "camera", true, false, {1, ~uint64_t{0}}, 2, {{11, 12, 13, 14, ~uint64_t{0} - 3, 16}}});
  spec.outputs.push_back({"edges", "edges", 4, 32, 1 << 20, "drop_oldest", {{21, 1, {22, 23}, {25, 26}}, {24, 2, {}, {}}}, 1 << 30});
  return spec;
}

TEST(StartSpec, ComesBackAsItWasWritten) {
  const StartSpec spec = Full();
  const auto back = StartSpecFromJson(ToJson(spec));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), ToJson(spec));
  EXPECT_EQ(back->task, ~uint64_t{0});
  EXPECT_EQ(back->log_level, -1);
  EXPECT_EQ(back->params, spec.params);
  EXPECT_EQ(back->inputs[0].lanes_each, 2u);
  EXPECT_EQ(back->inputs[0].lanes[0].next, ~uint64_t{0} - 3);
  EXPECT_EQ(back->outputs[0].lanes[0].subscriptions, (std::vector<uint64_t>{22, 23}));
  EXPECT_EQ(back->outputs[0].lanes[0].spares, (std::vector<uint64_t>{25, 26}));
  EXPECT_EQ(back->outputs[0].max_bytes, uint64_t{1} << 30);
}

TEST(StartSpec, TravelsInASealedMemfd) {
  const auto fd = ToMemfd(Full());
  ASSERT_TRUE(fd.ok()) << fd.status();
  EXPECT_LT(::pwrite(fd->get(), "x", 1, 0), 0);
  const auto back = FromMemfd(*fd);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(ToJson(*back), ToJson(Full()));
}

TEST(StartSpec, IsRefusedFromAMemfdThatCanStillChange) {
  const UniqueFd fd(::memfd_create("spec", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  const std::string json = ToJson(Full());
  ASSERT_EQ(::write(fd.get(), json.data(), json.size()), static_cast<ssize_t>(json.size()));
  EXPECT_EQ(FromMemfd(fd).status().code(), absl::StatusCode::kDataLoss);
}

TEST(StartSpec, SaysWhereTheFirstFaultIs) {
  std::string json = ToJson(Full());
  json.replace(json.find("\"epoch\":13"), 10, "\"epoch\":-1");
  const absl::Status status = StartSpecFromJson(json).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("inputs[0].lanes[0].epoch"));
}

TEST(StartSpec, RefusesWhatIsNoSpec) {
  for (const char* text : {"", "{", "[]", "7", "{}", "{\"pipeline\":3}", "\xff\xfe"}) {
    EXPECT_EQ(StartSpecFromJson(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(StartSpec, KeepsTextThatIsNoUtf8FromEndingTheHost) {
  StartSpec spec = Full();
  spec.name =
      "a\xff"
      "b";
  EXPECT_TRUE(StartSpecFromJson(ToJson(spec)).ok());
}

}  // namespace
}  // namespace puma::control
