// Graphs as clients send them (LLB): what the loader accepts is a graph of lade's whose edges lead
// to earlier vertices. Wants root (the zygote that a job is given) and /dev/shm.
//
// The input are messages of ops.proto, each after its length in two bytes: first a Definition whose
// metadata and locations are taken, then its ops. Ops name each other by digests, which no mutation
// would get right: "@3" (or, of any other text that begins so, the byte after it) means op 3.
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/stubs/logging.h>

#include "base/digest.hpp"
#include "base/error.hpp"
#include "base/temp_dir.hpp"
#include "daemon/job/job.hpp"
#include "daemon/job/shared_executor.hpp"
#include "daemon/llb/llb.hpp"
#include "daemon/proto/ops.pb.h"
#include "daemon/proto/policy.pb.h"
#include "daemon/session/sessions.hpp"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

using namespace lade;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using Random = std::minstd_rand;

constexpr size_t kMaxMessage = 0xffff;

struct Input {
  pb::Definition about;
  std::vector<pb::Op> ops;
};

std::optional<Input> read_input(std::string_view bytes) {
  Input out;
  for (bool first = true; bytes.size() >= 2; first = false) {
    const size_t size = static_cast<unsigned char>(bytes[0]) |
                        static_cast<size_t>(static_cast<unsigned char>(bytes[1])) << 8;
    bytes.remove_prefix(2);
    const std::string_view own = bytes.substr(0, size);
    bytes.remove_prefix(own.size());
    Message& message = first ? static_cast<Message&>(out.about) : out.ops.emplace_back();
    // gRPC hands over no message that does not parse.
    if (!message.ParseFromArray(own.data(), static_cast<int>(own.size()))) return std::nullopt;
  }
  return out;
}

std::string write_input(const Input& input) {
  std::string out;
  const auto put = [&](const Message& message) {
    const std::string bytes = message.SerializeAsString();
    if (bytes.size() > kMaxMessage) return;
    out += static_cast<char>(bytes.size() & 0xff);
    out += static_cast<char>(bytes.size() >> 8);
    out += bytes;
  };
  put(input.about);
  for (const auto& op : input.ops) put(op);
  return out;
}

/// One field of the message or of one inside of it, any that the type has.
void mutate_field(Message& message, Random& random);

void mutate_value(Message& message, const FieldDescriptor& field, Random& random) {
  const auto& reflection = *message.GetReflection();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
    mutate_field(*reflection.MutableMessage(&message, &field), random);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_STRING) {
    std::string text = reflection.GetString(message, &field);
    const size_t size = text.size();
    text.resize(size + 16);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(text.data()), size, text.size()));
    reflection.SetString(&message, &field, text);
  } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    reflection.SetBool(&message, &field, !reflection.GetBool(message, &field));
  } else {
    constexpr int64_t kValues[] = {-1,     0,         1,         2,         3,
                                   0xffff, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    const int64_t value = kValues[random() % std::size(kValues)];
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_INT32:
        return reflection.SetInt32(&message, &field, static_cast<int32_t>(value));
      case FieldDescriptor::CPPTYPE_UINT32:
        return reflection.SetUInt32(&message, &field, static_cast<uint32_t>(value));
      case FieldDescriptor::CPPTYPE_INT64:
        return reflection.SetInt64(&message, &field, value);
      case FieldDescriptor::CPPTYPE_UINT64:
        return reflection.SetUInt64(&message, &field, static_cast<uint64_t>(value));
      case FieldDescriptor::CPPTYPE_ENUM:
        return reflection.SetEnumValue(&message, &field, static_cast<int>(random() % 6));
      default:
        return;
    }
  }
}

void mutate_repeated(Message& message, const FieldDescriptor& field, Random& random) {
  const auto& reflection = *message.GetReflection();
  const int size = reflection.FieldSize(message, &field);
  if (size > 0 && random() % 4 == 0) return reflection.RemoveLast(&message, &field);
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      if (size > 0 && random() % 4 != 0) {
        const int which = static_cast<int>(random() % static_cast<unsigned>(size));
        mutate_field(*reflection.MutableRepeatedMessage(&message, &field, which), random);
      } else {
        mutate_field(*reflection.AddMessage(&message, &field), random);
      }
      return;
    case FieldDescriptor::CPPTYPE_STRING:
      return reflection.AddString(&message, &field, random() % 2 == 0 ? "@0" : "/a");
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection.AddInt64(&message, &field, static_cast<int64_t>(random() % 4) - 1);
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.AddInt32(&message, &field, static_cast<int32_t>(random() % 4) - 1);
    default:
      return;
  }
}

void mutate_field(Message& message, Random& random) {
  const auto& type = *message.GetDescriptor();
  if (type.field_count() == 0) return;
  const auto& field =
      *type.field(static_cast<int>(random() % static_cast<unsigned>(type.field_count())));
  if (field.is_repeated()) return mutate_repeated(message, field, random);
  if (random() % 8 == 0) return message.GetReflection()->ClearField(&message, &field);
  mutate_value(message, field, random);
}

/// The definition with each "@N" as the digest of op N.
pb::Definition definition_of(Input input) {
  pb::Definition out = std::move(input.about);
  out.clear_def();
  std::vector<std::string> digests;
  const auto resolved = [&](const std::string& name) {
    if (name.size() < 2 || name[0] != '@') return name;
    const size_t number = static_cast<unsigned char>(name[1]) - static_cast<size_t>('0');
    return number < digests.size() ? digests[number] : name;
  };
  for (auto& op : input.ops) {
    // It would be solved here and now.
    if (op.op_case() == pb::Op::kBuild) continue;
    for (auto& input_of_op : *op.mutable_inputs()) {
      input_of_op.set_digest(resolved(input_of_op.digest()));
    }
    const std::string bytes = op.SerializeAsString();
    digests.push_back(Digest::of(bytes).str());
    out.add_def(bytes);
  }
  const auto metadata = out.metadata();
  for (const auto& [name, value] : metadata) (*out.mutable_metadata())[resolved(name)] = value;
  const auto locations = out.source().locations();
  for (const auto& [name, value] : locations) {
    (*out.mutable_source()->mutable_locations())[resolved(name)] = value;
  }
  return out;
}

/// What a job needs to be one; the zygote is forked before libFuzzer has threads.
struct Surroundings {
  TempDir temp = TempDir::create("/dev/shm", "lade-fuzz-");
  ExecutorHost executor{ExecutorOptions{}};
  Sessions sessions;
  DaemonShared shared{temp.path() + "/state", executor, sessions};
  SourcePolicies policies;
  std::shared_ptr<JobRef> earlier = std::make_shared<JobRef>();

  Surroundings() {
    // Registries are not asked.
    moby::buildkit::v1::sourcepolicy::Policy policy;
    policy.set_version(1);
    auto& rule = *policy.add_rules();
    rule.set_action(moby::buildkit::v1::sourcepolicy::DENY);
    rule.mutable_selector()->set_identifier("(?s)^(docker-image|oci-layout):");
    rule.mutable_selector()->set_match_type(moby::buildkit::v1::sourcepolicy::REGEX);
    policies.add(policy);
    Vertex vertex;
    vertex.op = SourceOp{"scratch", {}};
    earlier->definition.vertices.push_back(vertex);
    earlier->root = Edge{0, 0};
  }
};

std::unique_ptr<Surroundings> surroundings;

void check_graph(const JobRef& ref) {
  const auto& vertices = ref.definition.vertices;
  if (ref.root.vertex >= vertices.size()) std::abort();
  for (size_t i = 0; i < vertices.size(); ++i) {
    for (const Edge& input : vertices[i].inputs) {
      if (input.vertex >= i) std::abort();
    }
    op_digest(vertices[i]);
  }
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  surroundings = std::make_unique<Surroundings>();
  std::atexit([] { surroundings.reset(); });
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned seed) {
  Random random(seed);
  auto input = read_input({reinterpret_cast<const char*>(data), size});
  if (!input || random() % 32 == 0) return LLVMFuzzerMutate(data, size, max_size);
  const size_t which = random() % (input->ops.size() + 2);
  if (which == input->ops.size() + 1) {
    input->ops.push_back(input->ops.empty() ? pb::Op() : input->ops[random() % input->ops.size()]);
  } else if (which == input->ops.size()) {
    mutate_field(input->about, random);
  } else {
    mutate_field(input->ops[which], random);
  }
  const std::string out = write_input(*input);
  if (out.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  out.copy(reinterpret_cast<char*>(data), out.size());
  return out.size();
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const google::protobuf::LogSilencer silencer;
  auto input = read_input({reinterpret_cast<const char*>(data), size});
  if (!input) return 0;
  static const auto journal = std::make_shared<Journal>(surroundings->temp.path() + "/journal");
  static Job job(surroundings->shared, "fuzz", nullptr, journal);
  const auto find = [](const std::string& id) {
    return id == "earlier" ? surroundings->earlier : nullptr;
  };
  try {
    check_graph(load_llb(job, definition_of(std::move(*input)), find, surroundings->policies));
  } catch (const Error&) {
  }
  return 0;
}
