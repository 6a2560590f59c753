#include "server/rpc/client_hello.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <vector>

namespace puma::server {
namespace {

// The first words of a real client.
std::vector<std::byte> HelloOf(int least, int most, const std::string& server = "host.example") {
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_min_proto_version(context.get(), least);
  SSL_CTX_set_max_proto_version(context.get(), most);
  const std::unique_ptr<SSL, void (*)(SSL*)> client(SSL_new(context.get()), SSL_free);
  SSL_set_tlsext_host_name(client.get(), server.c_str());
  BIO* to = BIO_new(BIO_s_mem());
  SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), to);
  SSL_connect(client.get());
  const std::byte* bytes = nullptr;
  const long size = BIO_get_mem_data(to, &bytes);
  return {bytes, bytes + size};
}

// The same hello in records of at most `size` bytes.
std::vector<std::byte> InRecordsOf(size_t size, const std::vector<std::byte>& hello) {
  std::vector<std::byte> split;
  for (size_t at = 5; at < hello.size(); at += size) {
    const size_t length = std::min(size, hello.size() - at);
    for (const size_t byte : {size_t{22}, size_t{3}, size_t{1}, length >> 8, length & 0xff}) split.push_back(static_cast<std::byte>(byte));
    split.insert(split.end(), hello.begin() + static_cast<long>(at), hello.begin() + static_cast<long>(at + length));
  }
  return split;
}

TEST(ClientHello, WhoOffersTls13IsLetInAndWhoDoesNotIsNot) {
  EXPECT_EQ(ReadHello(HelloOf(TLS1_3_VERSION, TLS1_3_VERSION)), Hello::kTls13);
  EXPECT_EQ(ReadHello(HelloOf(TLS1_2_VERSION, TLS1_3_VERSION)), Hello::kTls13);
  EXPECT_EQ(ReadHello(HelloOf(TLS1_2_VERSION, TLS1_2_VERSION)), Hello::kOlder);
}

TEST(ClientHello, ItIsUnfinishedUntilItsLastByte) {
  const std::vector<std::byte> hello = HelloOf(TLS1_2_VERSION, TLS1_3_VERSION);
  for (size_t size = 0; size < hello.size(); ++size) EXPECT_EQ(ReadHello({hello.data(), size}), Hello::kUnfinished) << size;
}

TEST(ClientHello, ItMayComeInManyRecords) {
  const std::vector<std::byte> hello = HelloOf(TLS1_2_VERSION, TLS1_3_VERSION), old = HelloOf(TLS1_2_VERSION, TLS1_2_VERSION);
  for (const size_t size : {1, 2, 3, 7, 100}) {
    EXPECT_EQ(ReadHello(InRecordsOf(size, hello)), Hello::kTls13) << size;
    EXPECT_EQ(ReadHello(InRecordsOf(size, old)), Hello::kOlder) << size;
  }
}

TEST(ClientHello, OtherThingsAreNone) {
  const auto bytes = [](const std::string& text) {
    std::vector<std::byte> all;
    for (const char c : text) all.push_back(static_cast<std::byte>(c));
    return all;
  };
  EXPECT_EQ(ReadHello(bytes("GET / HTTP/1.1\r\n")), Hello::kNoHello);
  EXPECT_EQ(ReadHello(bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")), Hello::kNoHello);
  EXPECT_EQ(ReadHello(bytes(std::string("\x16\x03\x01\x00\x00", 5))), Hello::kNoHello) << "an empty record";
  EXPECT_EQ(ReadHello(bytes(std::string("\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9))), Hello::kNoHello) << "a server's hello";
  EXPECT_EQ(ReadHello(bytes(std::string("\x16\x03\x01\xff\xff", 5))), Hello::kNoHello) << "a record that is too long";
  std::vector<std::byte> endless = bytes(std::string("\x16\x03\x01\x40\x00\x01\x00\x3f\xfc", 9));
  endless.resize(kMaxHelloBytes);
  EXPECT_EQ(ReadHello(endless), Hello::kNoHello) << "longer than a hello may be";
}

}  // namespace
}  // namespace puma::server
