// Where the server listens, and what it offers beside puma.v1: health and reflection.
#include <gmock/gmock.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <thread>

#include "tests/rpc/fake_host.h"
#include "tests/rpc/stubs.h"

namespace puma::server {
namespace {

using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using ::testing::HasSubstr;

class ServerTest : public ::testing::Test {
 protected:
  absl::Status Start(const std::string& address, bool insecure = false) {
    ApiServer::Options options;
    options.address = address;
    options.allow_insecure_loopback = insecure;
    auto started = ApiServer::Start(options, &host_.engine(), {&host_.tasks(), &host_.events(), &host_.logs()}, &host_.access());
    if (!started.ok()) return started.status();
    address_ = (*started)->address();
    v1::GetHostResponse response;
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    return Stubs(address_).host.GetHost(&context, {}, &response).ok() ? absl::OkStatus() : absl::InternalError("it does not answer");
  }
  grpc::Status Health(const std::string& service, HealthCheckResponse* response) {
    HealthCheckRequest request;
    request.set_service(service);
    grpc::ClientContext context;
    return stubs_.health.Check(&context, request, response);
  }

  FakeHost host_;
  Stubs stubs_{host_.target()};
  std::string address_;
};

TEST_F(ServerTest, ASocketIsOnlyForOwnerAndGroup) {
  struct stat info;
  ASSERT_EQ(stat(host_.socket().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
}

TEST_F(ServerTest, ASocketInUseIsRefusedAndAStaleOneReplaced) {
  const absl::Status used = Start(host_.target());
  EXPECT_EQ(used.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(used.message()), HasSubstr(host_.socket()));
  EXPECT_TRUE(Start("unix:" + host_.directory() + "/other.sock").ok());
  EXPECT_TRUE(Start("unix:" + host_.directory() + "/other.sock").ok()) << "nobody listens there any more";
}

TEST_F(ServerTest, ADirectoryIsMadeButOneThatIsOpenToOthersIsRefused) {
  EXPECT_TRUE(Start("unix:" + host_.directory() + "/made/puma.sock").ok());
  const std::string open = host_.directory() + "/open";
  ASSERT_EQ(mkdir(open.c_str(), 0700), 0);
  ASSERT_EQ(chmod(open.c_str(), 0755), 0);
  const absl::Status refused = Start("unix:" + open + "/puma.sock");
  EXPECT_EQ(refused.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("chmod 0750 " + open));
}

TEST_F(ServerTest, WhatIsNoSocketIsNeverRemoved) {
  const std::string path = host_.directory() + "/file";
  std::ofstream(path) << "precious";
  EXPECT_EQ(Start("unix:" + path).code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
  EXPECT_EQ(Start("unix:relative.sock").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Start("unix:/" + std::string(200, 'a')).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ServerTest, TcpIsForTheLoopbackDeviceOnlyAndOnlyWhenAllowed) {
  EXPECT_EQ(Start("127.0.0.1:0").code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(Start("0.0.0.0:0", true).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Start("nonsense", true).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(Start("127.0.0.1:0", true).ok());
  EXPECT_NE(address_, "127.0.0.1:0") << "it says the port that it got";
}

TEST_F(ServerTest, HealthIsThatOfTheHostAndOfEachPipeline) {
  HealthCheckResponse response;
  ASSERT_TRUE(Health("", &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(Health("pipelines/p", &response).error_code(), grpc::StatusCode::NOT_FOUND);
  v1::Pipeline pipeline;
  pipeline.set_name("pipelines/p");
  host_.engine().PutPipeline(pipeline);
  ASSERT_TRUE(Health("pipelines/p", &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  v1::Task task;
  task.set_name("pipelines/p/tasks/a");
  task.mutable_status()->set_state(v1::TASK_STATE_FAILED);
  host_.engine().Put(task);
  ASSERT_TRUE(Health("pipelines/p", &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  host_.engine().is_serving = false;
  ASSERT_TRUE(Health("", &response).ok());
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
}

TEST_F(ServerTest, HealthCanBeWatched) {
  host_.engine().is_serving = false;
  grpc::ClientContext context;
  const auto reader = stubs_.health.Watch(&context, HealthCheckRequest());
  HealthCheckResponse response;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::NOT_SERVING);
  host_.engine().is_serving = true;
  ASSERT_TRUE(reader->Read(&response));
  EXPECT_EQ(response.status(), HealthCheckResponse::SERVING);
  context.TryCancel();
  while (reader->Read(&response)) {
  }
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

// Asks the reflection service (whose messages no header has) for the names of all services: list_services is field 7 of the request,
// list_services_response field 6 of the answer, in it service 1 with name 1.
TEST_F(ServerTest, ReflectionTellsAllServices) {
  google::protobuf::UnknownFieldSet fields;
  fields.AddLengthDelimited(7, "*");
  std::string bytes;
  fields.SerializeToString(&bytes);
  grpc::Slice slice(bytes);
  const grpc::ByteBuffer request(&slice, 1);
  grpc::ByteBuffer answer;
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  grpc::Status status;
  grpc::GenericStub stub(stubs_.channel);
  const auto call = stub.PrepareCall(&context, "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &queue);
  const auto step = [&] {
    void* tag;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  ASSERT_TRUE(step());
  call->Write(request, nullptr);
  ASSERT_TRUE(step());
  call->Read(&answer, nullptr);
  ASSERT_TRUE(step());
  call->WritesDone(nullptr);
  ASSERT_TRUE(step());
  call->Finish(&status, nullptr);
  ASSERT_TRUE(step());
  grpc::Slice whole;
  ASSERT_TRUE(answer.DumpToSingleSlice(&whole).ok());
  const std::string text(reinterpret_cast<const char*>(whole.begin()), whole.size());
  for (const char* service : {"puma.v1.HostService", "puma.v1.PipelineService", "puma.v1.TaskService", "puma.v1.BufferService",
                              "puma.v1.LogService", "grpc.health.v1.Health"}) {
    EXPECT_THAT(text, HasSubstr(service));
  }
}

TEST_F(ServerTest, ShutdownGivesRunningCallsUpAfterItsPatience) {
  v1::InvokeCommandRequest request;
  request.set_name("pipelines/p/tasks/a");
  request.set_command("wait");
  grpc::Status status;
  std::thread caller([&] {
    grpc::ClientContext context;
    v1::InvokeCommandResponse response;
    status = stubs_.tasks.InvokeCommand(&context, request, &response);
  });
  EXPECT_TRUE(Eventually([&] { return host_.engine().waiting == 1; }));
  host_.server().Shutdown(absl::Milliseconds(10));
  host_.server().Shutdown(absl::Milliseconds(10));  // again: nothing
  caller.join();
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(host_.engine().waiting, 0);
}

}  // namespace
}  // namespace puma::server
