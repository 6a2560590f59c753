// Every method of the API, every role, and every way to be somebody, over TLS and over a Unix socket.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <map>

#include "absl/strings/str_cat.h"
#include "puma/client/client.h"
#include "server/access/sha256.h"
#include "tests/access/certificates.h"
#include "tests/journal/temporary_directory.h"
#include "tests/rpc/fake_host.h"
#include "tests/rpc/stubs.h"

namespace puma::server {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MethodDescriptor;
using grpc::StatusCode;
using ::testing::HasSubstr;

// What each method needs, said once more: neither a method nor its role changes unnoticed.
enum class For { kPipeline, kAny, kAll };
struct Expected {
  v1::Role role;
  For scope = For::kPipeline;
};
const std::map<std::string, Expected> kMethods = {
    {"HostService/GetHost", {v1::ROLE_VIEWER, For::kAny}},
    {"HostService/ListTypes", {v1::ROLE_VIEWER, For::kAny}},
    {"HostService/GetType", {v1::ROLE_VIEWER, For::kAny}},
    {"HostService/DrainHost", {v1::ROLE_ADMIN, For::kAll}},
    {"PipelineService/ApplyPipeline", {v1::ROLE_DEPLOYER}},
    {"PipelineService/GetPipeline", {v1::ROLE_VIEWER}},
    {"PipelineService/ListPipelines", {v1::ROLE_VIEWER, For::kAny}},
    {"PipelineService/DeletePipeline", {v1::ROLE_DEPLOYER}},
    {"TaskService/GetTask", {v1::ROLE_VIEWER}},
    {"TaskService/ListTasks", {v1::ROLE_VIEWER}},
    {"TaskService/CreateTask", {v1::ROLE_DEPLOYER}},
    {"TaskService/DeleteTask", {v1::ROLE_DEPLOYER}},
    {"TaskService/StartTask", {v1::ROLE_OPERATOR}},
    {"TaskService/StopTask", {v1::ROLE_OPERATOR}},
    {"TaskService/RestartTask", {v1::ROLE_OPERATOR}},
    {"TaskService/WaitTask", {v1::ROLE_VIEWER}},
    {"TaskService/InvokeCommand", {v1::ROLE_OPERATOR}},
    {"TaskService/WatchTasks", {v1::ROLE_VIEWER}},
    {"BufferService/GetBuffer", {v1::ROLE_VIEWER}},
    {"BufferService/ListBuffers", {v1::ROLE_VIEWER}},
    {"BufferService/ListDeadLetters", {v1::ROLE_VIEWER}},
    {"BufferService/TapBuffer", {v1::ROLE_OPERATOR}},
    {"EventService/ListEvents", {v1::ROLE_VIEWER}},
    {"EventService/WatchEvents", {v1::ROLE_VIEWER}},
    {"LogService/QueryLogs", {v1::ROLE_VIEWER}},
    {"LogService/SetLogLevel", {v1::ROLE_OPERATOR}},
    {"LogService/TailLogs", {v1::ROLE_VIEWER}},
};

std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> methods;
  const auto* file = v1::GetHostRequest::descriptor()->file();
  for (int i = 0; i < file->service_count(); ++i) {
    for (int j = 0; j < file->service(i)->method_count(); ++j) methods.push_back(file->service(i)->method(j));
  }
  return methods;
}
std::string NameOf(const MethodDescriptor& method) { return absl::StrCat(method.service()->name(), "/", method.name()); }

// A request about pipeline `p`, or "" for all of them.
std::string RequestOf(const MethodDescriptor& method, const std::string& p) {
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<Message> request(factory.GetPrototype(method.input_type())->New());
  const std::string child = method.name().find("Task") != std::string::npos || method.name() == "InvokeCommand" ? "/tasks/t"
                            : method.name().find("Buffer") != std::string::npos                                 ? "/buffers/b"
                                                                                                                : "";
  const auto set = [](Message& message, const char* name, const std::string& value) {
    const FieldDescriptor* field = message.GetDescriptor()->FindFieldByName(name);
    if (field != nullptr && field->cpp_type() == FieldDescriptor::CPPTYPE_STRING)
      message.GetReflection()->SetString(&message, field, value);
  };
  set(*request, "parent", p.empty() ? "" : "pipelines/" + p);
  set(*request, "name", method.name() == "GetType" ? "types/flow.Counter" : "pipelines/" + p + child);
  set(*request, "command", "go");
  if (const FieldDescriptor* spec = request->GetDescriptor()->FindFieldByName("spec"))
    set(*request->GetReflection()->MutableMessage(request.get(), spec), "pipeline", p);
  return request->SerializeAsString();
}

// The status of a call; of a stream that brought something: OK.
grpc::Status CallOnce(const std::shared_ptr<grpc::Channel>& channel, const MethodDescriptor& method, const std::string& request,
                      const std::string& token = "") {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  grpc::CompletionQueue queue;
  const auto call = stub.PrepareCall(&context, absl::StrCat("/", method.service()->full_name(), "/", method.name()), &queue);
  const auto done = [&] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  call->StartCall(nullptr);
  bool alive = done();
  const grpc::Slice slice(request);
  if (alive) {
    call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
    done();
    grpc::ByteBuffer answer;
    call->Read(&answer, nullptr);
    alive = done();
  }
  if (alive && method.server_streaming()) context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  done();
  return alive && method.server_streaming() ? grpc::Status::OK : status;
}

bool IsRefused(const grpc::Status& status) {
  return status.error_code() == StatusCode::PERMISSION_DENIED || status.error_code() == StatusCode::UNAUTHENTICATED;
}

class AccessMatrix : public ::testing::Test {
 protected:
  static constexpr const char* kRoles[] = {"viewer", "operator", "deployer", "admin"};

  AccessMatrix() {
    Put(authority_.Issue("DNS:puma.test"));
    WriteFile(files_.client_ca, authority_.certificate());
    std::string rules = "roles:\n";
    for (const char* role : kRoles) {
      absl::StrAppend(&rules, "  - {certificate: \"spiffe://test/", role, "\", role: ", role, ", pipelines: [p]}\n");
      absl::StrAppend(&rules, "  - {certificate: \"spiffe://test/all-", role, "\", role: ", role, "}\n");
      absl::StrAppend(&rules, "  - {token: ", role, ", sha256: ", Sha256Hex(role), ", role: ", role, ", pipelines: [p]}\n");
    }
    absl::StrAppend(&rules, "  - {token: old, sha256: ", Sha256Hex("old"), ", role: admin, expires: 2020-01-01}\n");
    WriteFile(directory_.File("access.yaml"), rules);
    ApiServer::Options options;
    options.tls = {"127.0.0.1:0", files_, directory_.File("copies")};
    host_ = std::make_unique<FakeHost>(options, "", directory_.File("access.yaml"));
  }
  void Put(const Pair& pair) {
    WriteFile(files_.certificate, pair.certificate);
    WriteFile(files_.key, pair.key);
  }
  std::shared_ptr<grpc::Channel> ChannelFor(const Pair& own) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = authority_.certificate();
    options.pem_cert_chain = own.certificate;
    options.pem_private_key = own.key;
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("puma.test");
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(host_->server().tls_address(), grpc::SslCredentials(options), arguments);
  }
  std::shared_ptr<grpc::Channel> ChannelOf(const std::string& name) { return ChannelFor(authority_.Issue("URI:spiffe://test/" + name)); }

  const Authority authority_{"ours"}, foreign_{"theirs"};
  TemporaryDirectory directory_;
  const TlsPaths files_{directory_.File("host.pem"), directory_.File("host.key"), directory_.File("ca.pem")};
  std::unique_ptr<FakeHost> host_;
};

TEST_F(AccessMatrix, EachMethodIsInTheTable) {
  for (const MethodDescriptor* method : AllMethods()) EXPECT_TRUE(kMethods.contains(NameOf(*method))) << NameOf(*method);
  EXPECT_EQ(AllMethods().size(), kMethods.size());
}

TEST_F(AccessMatrix, ACertificatesRoleLetsItDoWhatTheRoleMayForItsPipelines) {
  for (const bool everywhere : {false, true}) {
    for (int i = 0; i < 4; ++i) {
      const auto role = static_cast<v1::Role>(v1::ROLE_VIEWER + i);
      const auto channel = ChannelOf(absl::StrCat(everywhere ? "all-" : "", kRoles[i]));
      for (const MethodDescriptor* method : AllMethods()) {
        const Expected& expected = kMethods.at(NameOf(*method));
        for (const std::string pipeline : {"p", "q", ""}) {
          const bool here = expected.scope == For::kAny || (expected.scope == For::kPipeline && pipeline == "p");
          const bool may = role >= expected.role && (everywhere || here);
          const grpc::Status status = CallOnce(channel, *method, RequestOf(*method, pipeline));
          EXPECT_EQ(IsRefused(status), !may) << v1::Role_Name(role) << (everywhere ? " of all" : " of p") << " calls " << NameOf(*method)
                                             << " for \"" << pipeline << "\": " << status.error_code() << " " << status.error_message();
          EXPECT_NE(status.error_code(), StatusCode::UNAVAILABLE) << status.error_message();
        }
      }
    }
  }
}

TEST_F(AccessMatrix, ATokenDoesTheSameWhoeverBringsIt) {
  const auto over_tls = ChannelOf("stranger");
  const auto over_unix = Stubs::MakeChannel(host_->target());
  for (int i = 0; i < 4; ++i) {
    for (const MethodDescriptor* method : AllMethods()) {
      const Expected& expected = kMethods.at(NameOf(*method));
      const bool may = v1::ROLE_VIEWER + i >= expected.role && expected.scope != For::kAll;  // the tokens are for p
      for (const auto& channel : {over_tls, over_unix})
        EXPECT_EQ(IsRefused(CallOnce(channel, *method, RequestOf(*method, "p"), kRoles[i])), !may) << kRoles[i] << " " << NameOf(*method);
    }
  }
}

TEST_F(AccessMatrix, WhoHasNoRoleOrNoValidTokenMayNothing) {
  const auto stranger = ChannelOf("stranger"), nameless = ChannelFor(authority_.Issue(""));
  const auto own = Stubs::MakeChannel(host_->target());
  for (const MethodDescriptor* method : AllMethods()) {
    const std::string request = RequestOf(*method, "p");
    EXPECT_EQ(CallOnce(stranger, *method, request).error_code(), StatusCode::PERMISSION_DENIED) << NameOf(*method);
    EXPECT_EQ(CallOnce(nameless, *method, request).error_code(), StatusCode::UNAUTHENTICATED) << NameOf(*method);
    EXPECT_FALSE(IsRefused(CallOnce(own, *method, request))) << "the host's own user: " << NameOf(*method);
    for (const char* token : {"old", "unknown"})
      EXPECT_EQ(CallOnce(own, *method, request, token).error_code(), StatusCode::UNAUTHENTICATED) << NameOf(*method);
  }
}

TEST_F(AccessMatrix, WithoutAGoodCertificateNobodyIsHeard) {
  const std::pair<const char*, Pair> bad[] = {
      {"none", {}},
      {"expired", authority_.Issue("URI:spiffe://test/all-admin", absl::Now() - absl::Hours(1))},
      {"foreign", foreign_.Issue("URI:spiffe://test/all-admin")},
  };
  for (const auto& [what, pair] : bad) {
    const auto channel = ChannelFor(pair);
    for (const MethodDescriptor* method : AllMethods()) {
      const grpc::Status status = CallOnce(channel, *method, RequestOf(*method, "p"), "admin");
      EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE) << what << ": " << NameOf(*method) << " " << status.error_message();
    }
  }
}

TEST_F(AccessMatrix, ReflectionOverTheNetworkIsForAdministratorsAndSoIsWhatNobodyKnows) {
  const auto* method = v1::GetHostRequest::descriptor()->file()->service(0)->method(0);
  const auto call = [&](const std::shared_ptr<grpc::Channel>& channel, const char* path) {
    grpc::GenericStub stub(channel);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    grpc::CompletionQueue queue;
    const grpc::Slice slice(RequestOf(*method, ""));
    const auto unary = stub.PrepareUnaryCall(&context, path, grpc::ByteBuffer(&slice, 1), &queue);
    grpc::ByteBuffer answer;
    grpc::Status status;
    unary->StartCall();
    unary->Finish(&answer, &status, nullptr);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status.error_code();
  };
  constexpr char kReflection[] = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
  EXPECT_EQ(call(ChannelOf("admin"), kReflection), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call(ChannelOf("all-deployer"), kReflection), StatusCode::PERMISSION_DENIED);
  EXPECT_NE(call(ChannelOf("all-admin"), kReflection), StatusCode::PERMISSION_DENIED);
  EXPECT_NE(call(Stubs::MakeChannel(host_->target()), kReflection), StatusCode::PERMISSION_DENIED);
  constexpr char kChannelz[] = "/grpc.channelz.v1.Channelz/GetServers";
  EXPECT_EQ(call(ChannelOf("viewer"), kChannelz), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call(ChannelOf("admin"), kChannelz), StatusCode::PERMISSION_DENIED) << "of one pipeline";
  EXPECT_EQ(call(ChannelOf("all-admin"), kChannelz), StatusCode::OK);
  EXPECT_EQ(call(ChannelOf("viewer"), "/some.Service/Method"), StatusCode::PERMISSION_DENIED);
  EXPECT_EQ(call(ChannelOf("all-admin"), "/some.Service/Method"), StatusCode::UNIMPLEMENTED);
}

TEST_F(AccessMatrix, WhoWasRefusedIsToldOf) {
  Stubs stubs(host_->target());
  const auto channel = ChannelOf("viewer");
  for (const MethodDescriptor* method : AllMethods()) {
    if (NameOf(*method) == "TaskService/StopTask") CallOnce(channel, *method, RequestOf(*method, "p"));
  }
  const auto events = host_->events().List("", "", 100);
  ASSERT_TRUE(events.ok());
  ASSERT_EQ(events->events_size(), 1);
  const v1::Event& event = events->events(0);
  EXPECT_EQ(event.kind(), v1::EVENT_KIND_AUDIT);
  EXPECT_TRUE(event.denied());
  EXPECT_EQ(event.principal(), "certificate spiffe://test/viewer");
  EXPECT_EQ(event.method(), "TaskService/StopTask");
  EXPECT_EQ(event.name(), "pipelines/p/tasks/t");
}

TEST_F(AccessMatrix, ARevokedRoleEndsStreamsAndCalls) {
  v1::PipelineSpec spec = EdgesSpec();
  v1::TaskService::Stub tasks(ChannelOf("all-viewer"));
  grpc::ClientContext context;
  const auto watch = tasks.WatchTasks(&context, {});
  v1::WatchTasksResponse batch;
  ASSERT_TRUE(watch->Read(&batch));
  WriteFile(directory_.File("access.yaml"), "roles: []");
  while (watch->Read(&batch)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), StatusCode::UNAVAILABLE) << "it may try again";
  grpc::ClientContext again;
  const auto refused = tasks.WatchTasks(&again, {});
  EXPECT_FALSE(refused->Read(&batch));
  EXPECT_EQ(refused->Finish().error_code(), StatusCode::PERMISSION_DENIED);
}

TEST_F(AccessMatrix, ANewCertificateIsServedAndABrokenOneRefusesNobody) {
  const auto serial_of = [&](const std::string& authority) {
    grpc::SslCredentialsOptions options;
    const Pair own = authority_.Issue("URI:spiffe://test/all-viewer");
    options.pem_root_certs = authority;
    options.pem_cert_chain = own.certificate;
    options.pem_private_key = own.key;
    grpc::ChannelArguments arguments;
    arguments.SetSslTargetNameOverride("puma.test");
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    v1::HostService::Stub stub(grpc::CreateCustomChannel(host_->server().tls_address(), grpc::SslCredentials(options), arguments));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(1));
    v1::GetHostResponse response;
    return stub.GetHost(&context, {}, &response).ok();
  };
  EXPECT_TRUE(serial_of(authority_.certificate()));
  WriteFile(files_.key, "nonsense");
  ASSERT_TRUE(Eventually([&] {
    const auto events = host_->events().List("", "", 100);
    return events->events_size() != 0;  // "TLS: ... the certificate stays as it was"
  }));
  EXPECT_TRUE(serial_of(authority_.certificate()));
  const Authority next("next");
  Put(next.Issue("DNS:puma.test"));
  EXPECT_TRUE(Eventually([&] { return serial_of(next.certificate()); })) << "from another authority, as one sees";
  EXPECT_FALSE(serial_of(authority_.certificate()));
}

TEST_F(AccessMatrix, OurClientBringsCertificatesAndTokens) {
  const Pair own = authority_.Issue("URI:spiffe://test/operator");
  WriteFile(directory_.File("own.pem"), own.certificate);
  WriteFile(directory_.File("own.key"), own.key);
  WriteFile(directory_.File("token"), "deployer\n");
  client::Options options;
  options.retry_for = absl::ZeroDuration();
  options.tls = {files_.client_ca, directory_.File("own.pem"), directory_.File("own.key"), "puma.test"};
  auto client = client::Client::Connect(host_->server().tls_address(), options);
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ((*client)->GetHost()->caller().name(), "certificate spiffe://test/operator");
  EXPECT_EQ((*client)->GetHost()->caller().grants(0).pipelines(0), "p");
  const absl::Status refused = (*client)->ListTasks().status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(refused.message()), HasSubstr("it has a role for p"));
  options.token_file = directory_.File("token");
  EXPECT_EQ((*client::Client::Connect(host_->server().tls_address(), options))->GetHost()->caller().name(), "token deployer");
  options.tls.reset();
  EXPECT_EQ((*client::Client::Connect(host_->target(), options))->GetHost()->caller().name(), "token deployer");
  EXPECT_EQ(client::Client::Connect("127.0.0.1:1", options).status().code(), absl::StatusCode::kInvalidArgument) << "in clear text";
  options.token_file = directory_.File("none");
  EXPECT_EQ(client::Client::Connect(host_->target(), options).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace puma::server
