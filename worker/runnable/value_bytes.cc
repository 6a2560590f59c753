#include "worker/runnable/value_bytes.h"

#include <utility>

#include "worker/runnable/remote_objects.h"

namespace puma::internal {
namespace {

constexpr int kDeepest = 64;

}  // namespace

struct ValueAccess {
  static void Pack(const Value& v, ByteWriter& to);
  static Value Unpack(ByteReader& from, int depth);
};

void ValueAccess::Pack(const Value& v, ByteWriter& to) {
  to.Put(static_cast<uint8_t>(v.kind_));
  switch (v.kind_) {
    case Value::Kind::kNull:
      return;
    case Value::Kind::kBool:
    case Value::Kind::kInt:
    case Value::Kind::kDuration:
      to.Put(v.int_);
      return;
    case Value::Kind::kDouble:
      to.Put(v.double_);
      return;
    case Value::Kind::kString:
      to.PutText(v.text_);
      return;
    case Value::Kind::kOpaque:
      to.PutText(v.type_).PutText(v.text_);
      return;
    case Value::Kind::kReference:
      to.PutText(v.type_).Put(v.reference_->object());
      return;
    case Value::Kind::kList:
      to.Put(static_cast<uint64_t>(v.list_.size()));
      for (const Value& item : v.list_) Pack(item, to);
      return;
    case Value::Kind::kMap:
      to.Put(static_cast<uint64_t>(v.fields_.size()));
      for (const auto& [name, field] : v.fields_) {
        to.PutText(name);
        Pack(field, to);
      }
      return;
  }
}

Value ValueAccess::Unpack(ByteReader& from, int depth) {
  Value v;
  if (depth > kDeepest) return v;
  const auto kind = static_cast<Value::Kind>(from.Get<uint8_t>());
  switch (kind) {
    case Value::Kind::kBool:
    case Value::Kind::kInt:
    case Value::Kind::kDuration:
      v.kind_ = kind;
      v.int_ = from.Get<int64_t>();
      return v;
    case Value::Kind::kDouble:
      return from.Get<double>();
    case Value::Kind::kString:
      return std::string(from.GetText());
    case Value::Kind::kOpaque: {
      std::string type(from.GetText());
      return Value::Opaque(std::move(type), std::string(from.GetText()));
    }
    case Value::Kind::kReference: {
      std::string type(from.GetText());
      return Value::Reference(std::move(type), std::make_shared<RemoteHandle>(from.Get<uint64_t>()));
    }
    case Value::Kind::kList: {
      std::vector<Value> items;
      for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) items.push_back(Unpack(from, depth + 1));
      return Value::List(std::move(items));
    }
    case Value::Kind::kMap: {
      std::map<std::string, Value> fields;
      for (auto n = from.Get<uint64_t>(); n > 0 && from.ok(); --n) {
        std::string name(from.GetText());
        fields.emplace(std::move(name), Unpack(from, depth + 1));
      }
      return Value::Map(std::move(fields));
    }
    default:
      return v;
  }
}

void PackValue(const Value& value, ByteWriter& to) { ValueAccess::Pack(value, to); }
Value UnpackValue(ByteReader& from) { return ValueAccess::Unpack(from, 0); }

}  // namespace puma::internal
