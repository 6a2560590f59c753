// puma-spec-schema FILE_DESCRIPTOR_SET: prints the schema of spec files. The build runs it on what protoc says of spec.proto.
#include <google/protobuf/descriptor.pb.h>

#include <cstdio>
#include <fstream>

#include "client/lib/spec_schema.h"

int main(int argc, char** argv) {
  google::protobuf::FileDescriptorSet set;
  std::ifstream file(argc == 2 ? argv[1] : "");
  if (!set.ParseFromIstream(&file)) return std::fputs("usage: puma-spec-schema FILE_DESCRIPTOR_SET\n", stderr), 2;
  google::protobuf::DescriptorPool pool;
  for (const auto& proto : set.file()) {
    if (pool.BuildFile(proto) == nullptr) return std::fprintf(stderr, "puma-spec-schema: %s is not right\n", proto.name().c_str()), 1;
  }
  const google::protobuf::Descriptor* spec = pool.FindMessageTypeByName("puma.v1.PipelineSpec");
  if (spec == nullptr) return std::fputs("puma-spec-schema: there is no puma.v1.PipelineSpec in it\n", stderr), 1;
  return std::fputs(puma::client::SpecSchema(*spec).c_str(), stdout) < 0 ? 1 : 0;
}
