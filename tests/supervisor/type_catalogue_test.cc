#include "server/supervisor/type_catalogue.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace puma::server {
namespace {

class TypeCatalogueTest : public ::testing::Test {
 protected:
  TypeCatalogueTest() : path_(std::filesystem::temp_directory_path() / ("puma-types-" + std::to_string(getpid()))) { Change("one"); }
  ~TypeCatalogueTest() override { std::filesystem::remove(path_); }
  void Change(const std::string& text) { std::ofstream(path_, std::ios::app) << text; }
  std::filesystem::path path_;
  TypeCatalogue types_;
};

TEST_F(TypeCatalogueTest, ReadsADescription) {
  types_.Put("m", path_, R"({"module": "m", "types": [{"name": "T",
      "parameters": [{"name": "rate", "type": "double", "help": "per second", "default": 2.5}, {"name": "must", "type": "string"}],
      "inputs": [{"name": "in", "type": "int", "optional": true}], "outputs": [{"name": "out", "type": "long"}],
      "commands": [{"name": "go", "help": "goes", "arguments": [{"name": "where", "type": "string"}], "result": "int"}]}]})");
  const std::vector<v1::RunnableType> types = *types_.TypesOf("m");
  ASSERT_EQ(types.size(), 1u);
  EXPECT_EQ(types[0].name(), "types/m.T");
  EXPECT_EQ(types[0].parameters(0).default_value().number_value(), 2.5);
  EXPECT_FALSE(types[0].parameters(1).has_default_value());
  EXPECT_TRUE(types[0].inputs(0).optional());
  EXPECT_EQ(types[0].outputs(0).type(), "long");
  EXPECT_EQ(types[0].commands(0).arguments(0).name(), "where");
  EXPECT_EQ(types[0].commands(0).result(), "int");
}

TEST_F(TypeCatalogueTest, ParametersOfTheHostsOwnAreNobodysBusiness) {
  types_.Put("m", path_,
             R"({"types": [{"name": "T", "parameters": [{"name": "@secret", "type": "int"}, {"name": "open", "type": "int"}]}]})");
  const std::vector<v1::RunnableType> types = *types_.TypesOf("m");
  ASSERT_EQ(types.at(0).parameters_size(), 1);
  EXPECT_EQ(types[0].parameters(0).name(), "open");
}

TEST_F(TypeCatalogueTest, IsFreshUntilTheFileChanges) {
  EXPECT_FALSE(types_.Fresh("m", path_));
  types_.Put("m", path_, std::string("{}"));
  EXPECT_TRUE(types_.Fresh("m", path_));
  Change("two");
  EXPECT_FALSE(types_.Fresh("m", path_));
}

TEST_F(TypeCatalogueTest, RemembersWhyAModuleCouldNotBeDescribed) {
  types_.Put("m", path_, absl::UnavailableError("it crashed"));
  EXPECT_EQ(types_.TypesOf("m").status().message(), "it crashed");
  EXPECT_EQ(types_.TypesOf("n").status().code(), absl::StatusCode::kNotFound);
}

TEST_F(TypeCatalogueTest, SurvivesDescriptionsThatAreNone) {
  for (const char* text : {"", "[", "7", "{\"types\": 3}", "{\"types\": [1, {}]}", "{\"types\": [{\"name\": 1, \"inputs\": {}}]}"}) {
    types_.Put("m", path_, std::string(text));
    (void)types_.TypesOf("m");
  }
}

}  // namespace
}  // namespace puma::server
