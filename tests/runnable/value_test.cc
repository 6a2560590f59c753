#include <gmock/gmock.h>
#include <puma/value.h>

namespace puma {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Point {
  int x, y;
};

template <class T>
absl::StatusOr<T> Parse(const std::string& json) {
  auto value = Value::FromJson(json);
  if (!value.ok()) return value.status();
  return value->As<T>();
}

TEST(ValueTest, ReadsWhatJsonCanSay) {
  EXPECT_EQ(*Parse<bool>("true"), true);
  EXPECT_EQ(*Parse<int>("-3"), -3);
  EXPECT_EQ(*Parse<int>("3.0"), 3) << "some ends know one kind of number only";
  EXPECT_EQ(*Parse<uint8_t>("255"), 255);
  EXPECT_EQ(*Parse<double>("2"), 2.0);
  EXPECT_EQ(*Parse<float>("0.5"), 0.5f);
  EXPECT_EQ(*Parse<std::string>("\"a\\u00e4\""), "aä");
  EXPECT_EQ(*Parse<absl::Duration>("\"20ms\""), absl::Milliseconds(20));
  EXPECT_THAT(*Parse<std::vector<int>>("[1,2]"), ElementsAre(1, 2));
  EXPECT_EQ((*Parse<std::map<std::string, double>>("{\"a\": 1.5}"))["a"], 1.5);
}

TEST(ValueTest, SaysWhatWasExpectedAndWhatWasThere) {
  EXPECT_THAT(std::string(Parse<int>("\"x\"").status().message()), HasSubstr("expected int, got \"x\" (string)"));
  EXPECT_THAT(std::string(Parse<int>("3.5").status().message()), HasSubstr("expected int"));
  EXPECT_THAT(std::string(Parse<uint8_t>("256").status().message()), HasSubstr("int in 0..255"));
  EXPECT_THAT(std::string(Parse<uint32_t>("-1").status().message()), HasSubstr("int in 0.."));
  EXPECT_THAT(std::string(Parse<bool>("1").status().message()), HasSubstr("expected bool"));
  EXPECT_THAT(std::string(Parse<absl::Duration>("20").status().message()), HasSubstr("duration such as"));
  EXPECT_THAT(std::string(Parse<std::vector<int>>("3").status().message()), HasSubstr("list of int"));
  EXPECT_FALSE(Value::FromJson("{").ok());
  EXPECT_FALSE(Value::FromJson("").ok());
}

TEST(ValueTest, GoesThroughJsonAndBack) {
  EXPECT_EQ(Value::Of(std::vector<double>{1, 2.5}).ToJson(), "[1.0,2.5]");
  EXPECT_EQ(Value::Of(std::string("a\"b\n")).ToJson(), R"("a\"b\n")");
  EXPECT_EQ(Value::Of(absl::Milliseconds(20)).ToJson(), "\"20ms\"");
  EXPECT_EQ(*Parse<absl::Duration>(Value::Of(absl::Nanoseconds(1234567)).ToJson()), absl::Nanoseconds(1234567));
  EXPECT_EQ(Value().ToJson(), "null");
  EXPECT_EQ(*Parse<int64_t>(Value::Of(int64_t{INT64_MIN}).ToJson()), INT64_MIN);
}

TEST(ValueTest, CarriesTypesWithACodecAsBytes) {
  const Value v = Value::Of(Point{3, 4});
  EXPECT_EQ(v.kind(), Value::Kind::kOpaque);
  auto p = Parse<Point>(v.ToJson());
  ASSERT_TRUE(p.ok()) << p.status();
  EXPECT_EQ(p->x, 3);
  EXPECT_EQ(p->y, 4);
  EXPECT_FALSE(Parse<Point>("3").ok());
  struct Other {
    int x, y;
  };
  EXPECT_FALSE(v.As<Other>().ok()) << "of another type";
}

TEST(ValueTest, NamesItsTypes) {
  EXPECT_EQ(Value::TypeName<std::vector<std::string>>(), "list of string");
  EXPECT_EQ(Value::TypeName<uint16_t>(), "int");
  EXPECT_EQ((Value::TypeName<std::map<std::string, double>>()), "map of double");
  EXPECT_THAT(Value::TypeName<Point>(), HasSubstr("Point"));
}

}  // namespace
}  // namespace puma
