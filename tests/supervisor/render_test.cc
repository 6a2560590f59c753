// Bytes as JSON, by the name of their type or by what the type says of itself.
#include "server/supervisor/render.h"

#include <gtest/gtest.h>
#include <puma/describe.h>
#include <puma/protobuf.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "google/protobuf/type.pb.h"
#include "google/protobuf/util/json_util.h"

namespace {

enum class Mode : uint8_t { kIdle, kBusy };
struct Point {
  double x, y;
};
BOOST_DESCRIBE_STRUCT(Point, (), (x, y))
struct Stamped {
  int64_t time_ns;
};
BOOST_DESCRIBE_STRUCT(Stamped, (), (time_ns))
struct Opaque {
  int inside;
};
struct Pose : Stamped {
  Mode mode;
  char frame[8];
  Point at;
  std::array<Point, 2> corners;
  float covariance[2][2];
  Opaque opaque;
};
BOOST_DESCRIBE_STRUCT(Pose, (Stamped), (mode, frame, at, corners, covariance, opaque))

}  // namespace

namespace puma::server {
namespace {

template <class T>
std::string BytesOf(std::initializer_list<T> values) {
  return std::string(reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T));
}

std::string Json(const std::optional<google::protobuf::Value>& value) {
  if (!value) return "nothing";
  std::string text;
  EXPECT_TRUE(google::protobuf::util::MessageToJsonString(*value, &text).ok());
  return nlohmann::json::parse(text).dump();  // sorted
}
std::string Shown(const std::string& type, const std::string& bytes, const v1::PayloadSchema& schema = {}) {
  return Json(Renderer(type, schema).Render(bytes));
}

TEST(Render, SaysNumbersTextsAndVectors) {
  EXPECT_EQ(Shown("long", BytesOf<int64_t>({-3})), "-3");
  EXPECT_EQ(Shown("long", BytesOf<int64_t>({INT64_MIN})), "\"-9223372036854775808\"");
  EXPECT_EQ(Shown("unsigned long", BytesOf<uint64_t>({UINT64_MAX})), "\"18446744073709551615\"");
  EXPECT_EQ(Shown("unsigned char", "\xff"), "255");
  EXPECT_EQ(Shown("bool", "\x07"), "true");
  EXPECT_EQ(Shown("float", BytesOf<float>({0.5f})), "0.5");
  EXPECT_EQ(Shown("double", BytesOf<double>({-HUGE_VAL})), "\"-Infinity\"");
  EXPECT_EQ(Shown("std::vector<short, std::allocator<short> >", BytesOf<int16_t>({1, -2})), "[1,-2]");
  EXPECT_EQ(Shown("std::vector<short, std::allocator<short> >", "odd"), "nothing");
  EXPECT_EQ(Shown("long", "four"), "nothing");
  EXPECT_EQ(Shown("flow::Frame", "12345678"), "nothing");
  EXPECT_EQ(Shown("", ""), "nothing");
  EXPECT_EQ(Renderer("std::string", {}).Render("gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x86")->string_value(),
            "gr\xc3\xbc\xc3\x9f \xf0\x9f\x90\x86");
  for (const std::string bad : {"\xff", "\xc3", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x9f\x90"})
    EXPECT_EQ(Shown("std::string", bad), "nothing");
}

// As the description of a module has it.
v1::PayloadSchema SchemaOf(const TypeInfo& type) {
  v1::PayloadSchema schema;
  if (type.schema != nullptr) {
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(type.schema(), &schema).ok()) << type.schema();
  }
  return schema;
}
template <class T>
std::string ShownAs(const std::string& bytes) {
  const TypeInfo type = TypeInfo::Of<T>();
  return Shown(type.name(), bytes, SchemaOf(type));
}

constexpr char kPose[] =
    R"({"at":{"x":1,"y":2},"corners":[{"x":3,"y":4},{"x":5,"y":6}],"covariance":[0.5,0,0,0.25],"frame":"map","mode":1,"time_ns":12})";
Pose ThePose() { return {{12}, Mode::kBusy, "map", {1, 2}, {{{3, 4}, {5, 6}}}, {{0.5f, 0}, {0, 0.25f}}, {9}}; }

TEST(Render, SaysTheFieldsOfStructsThatNameThem) {
  EXPECT_EQ(ShownAs<Pose>(BytesOf({ThePose()})), kPose);
  EXPECT_EQ(ShownAs<Pose>("short"), "nothing");
  EXPECT_EQ(ShownAs<Pose>(BytesOf({ThePose()}) + "x"), "nothing");
  EXPECT_EQ(ShownAs<Opaque>(BytesOf<int>({1})), "nothing");
}

TEST(Render, SaysThemInVectorsAndBlocks) {
  EXPECT_EQ(ShownAs<std::vector<Point>>(BytesOf<Point>({{1, 2}, {3, 4}})), R"([{"x":1,"y":2},{"x":3,"y":4}])");
  EXPECT_EQ(ShownAs<std::vector<Point>>(""), "[]");
  EXPECT_EQ(ShownAs<std::vector<Point>>("odd"), "nothing");
  const std::string block = BytesOf<Point>({{1, 2}}) + std::string(48, 0) + "pixels";
  EXPECT_EQ(ShownAs<Block<Point>>(block), R"({"x":1,"y":2})");
}

TEST(Render, TextThatIsNoTextIsNumbers) {
  Pose pose = ThePose();
  pose.frame[0] = static_cast<char>(0xff);
  EXPECT_NE(ShownAs<Pose>(BytesOf({pose})).find(R"("frame":[-1,97,112,0,0,0,0,0])"), std::string::npos);
}

TEST(Render, SaysTheFieldsOfProtobufMessages) {
  google::protobuf::Field field;
  field.set_name("speed");
  field.set_kind(google::protobuf::Field::TYPE_DOUBLE);
  field.add_options()->set_name("unit");
  EXPECT_EQ(ShownAs<google::protobuf::Field>(field.SerializeAsString()),
            R"({"kind":"TYPE_DOUBLE","name":"speed","options":[{"name":"unit"}]})");
  EXPECT_EQ(ShownAs<google::protobuf::Field>("\xff\xff"), "nothing");
  EXPECT_EQ(ShownAs<google::protobuf::Field>(""), "{}");
}

v1::PayloadSchema Struct(const std::string& text) {
  v1::PayloadSchema schema;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage("{\"structure\": " + text + "}", &schema).ok()) << text;
  return schema;
}

TEST(Render, ASchemaThatLiesIsNotBelieved) {
  const std::string bytes(16, 1);
  EXPECT_EQ(Shown("T", bytes, Struct(R"({"size": 16, "fields": [{"name": "a", "type": "int", "offset": 12}]})")), R"({"a":16843009})");
  for (const char* lie : {
           R"({"size": 0, "fields": []})",
           R"({"size": 17, "fields": []})",
           R"({"size": 16, "fields": [{"name": "a", "type": "int", "offset": 13}]})",
           R"({"size": 16, "fields": [{"name": "a", "type": "int", "offset": 4294967295}]})",
           R"({"size": 16, "fields": [{"name": "a", "type": "int", "count": 4294967295}]})",
           R"({"size": 16, "fields": [{"name": "a", "type": "S", "structure": {"size": 0}, "count": 4294967295}]})",
           R"({"size": 16, "fields": [{"name": "a", "type": "S", "structure": {"size": 17}}]})",
           R"({"size": 16, "fields": [{"name": "a", "type": "S", "structure": {"size": 4, "fields": [{"name": "b", "type": "long"}]}}]})",
       })
    EXPECT_EQ(Shown("T", bytes, Struct(lie)), "nothing") << lie;
}

TEST(Render, ASchemaThatNeverEndsIsGivenUp) {
  std::string inner = R"({"size": 64, "fields": [{"name": "a", "type": "bool", "count": 64}]})";
  for (int depth = 0; depth < 10; ++depth) {
    const std::string field = R"({"type": "S", "structure": )" + inner + ", \"name\": \"";
    inner = R"({"size": 64, "fields": [)" + field + "a\"}, " + field + "b\"}, " + field + "c\"}]}";
  }
  EXPECT_EQ(Shown("T", std::string(64, 1), Struct(inner)), "nothing");
}

TEST(Render, DescriptorsThatLieAreNotBelieved) {
  v1::PayloadSchema schema = SchemaOf(TypeInfo::Of<google::protobuf::Field>());
  const std::string whole = schema.protobuf().descriptors();
  schema.mutable_protobuf()->set_message("google.protobuf.Fields");
  EXPECT_EQ(Shown("T", "", schema), "nothing") << "no such message";
  schema.mutable_protobuf()->set_message("google.protobuf.Field");
  EXPECT_EQ(Shown("T", "", schema), "{}");
  for (size_t size = 0; size < whole.size(); size += 7) {
    schema.mutable_protobuf()->set_descriptors(whole.substr(0, size));
    EXPECT_EQ(Shown("T", "", schema), "nothing") << size;
  }
}

}  // namespace
}  // namespace puma::server
