#include "daemon/job/grpc_status.hpp"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "base/base64.hpp"
#include "base/digest.hpp"
#include "daemon/job/client_words.hpp"
#include "daemon/job/returned_error.hpp"
#include "daemon/job/step_error.hpp"
#include "daemon/proto/ops.pb.h"
#include "daemon/proto/status.pb.h"

namespace lade {
namespace {

constexpr const char* kSourceType = "github.com/moby/buildkit/errdefs.Source+json";
constexpr const char* kSolveType = "github.com/moby/buildkit/errdefs.Solve+json";

/// BuildKit's clients print the name of every code but "unknown" in front of the message.
grpc::StatusCode code_of(const Error& error) {
  return error.kind() == ErrorKind::canceled ? grpc::StatusCode::CANCELLED
                                             : grpc::StatusCode::UNKNOWN;
}

/// The graph that the Dockerfile was read from, as JSON of BuildKit's.
nlohmann::json definition_json(const std::string& file) {
  pb::Op source;
  source.mutable_source()->set_identifier("local://dockerfile");
  (*source.mutable_source()->mutable_attrs())["local.followpaths"] =
      nlohmann::json::array({file}).dump();
  const std::string bytes = source.SerializeAsString();
  pb::Op last;
  last.add_inputs()->set_digest(Digest::of(bytes).str());
  return {{"def", {base64(bytes), base64(last.SerializeAsString())}}};
}

/// BuildKit's errdefs.Source in JSON, as its clients have details encoded.
std::string source_json(const SourceRange& range) {
  // A range for each line, as in BuildKit.
  nlohmann::json ranges = nlohmann::json::array();
  for (int line = range.first_line; line <= std::max(range.first_line, range.last_line); ++line) {
    ranges.push_back({{"start", {{"line", line}}}, {"end", {{"line", line}}}});
  }
  const nlohmann::json json = {{"info",
                                {{"filename", range.file->name},
                                 {"data", base64(range.file->text)},
                                 {"definition", definition_json(range.file->name)},
                                 {"language", "Dockerfile"}}},
                               {"ranges", std::move(ranges)}};
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

grpc::Status to_status(const Error& error) {
  if (const auto* returned = dynamic_cast<const ReturnedError*>(&error)) {
    lade::rpc::Status status;
    if (status.ParseFromString(returned->status()) && status.code() != 0) {
      return {static_cast<grpc::StatusCode>(status.code()), status.message(), returned->status()};
    }
  }
  const std::string message = in_clients_words(error);
  const auto code = code_of(error);
  lade::rpc::Status status;
  status.set_code(code);
  status.set_message(message);
  const auto add = [&](const char* type, std::string json) {
    auto& detail = *status.add_details();
    detail.set_type_url(type);
    detail.set_value(std::move(json));
  };
  if (error.range() && error.range()->file && error.range()->first_line > 0) {
    add(kSourceType, source_json(*error.range()));
  }
  if (const auto* step = dynamic_cast<const StepError*>(&error)) add(kSolveType, step->details());
  if (status.details_size() == 0) return {code, message};
  return {code, message, status.SerializeAsString()};
}

std::string status_details(const grpc::Status& status) {
  if (!status.error_details().empty()) return status.error_details();
  lade::rpc::Status out;
  out.set_code(status.error_code());
  out.set_message(status.error_message());
  return out.SerializeAsString();
}

grpc::Status guarded(const std::function<void()>& body) {
  try {
    body();
    return grpc::Status::OK;
  } catch (const Error& error) {
    return to_status(error);
  } catch (const std::exception& error) {
    return {grpc::StatusCode::INTERNAL, error.what()};
  }
}

}  // namespace lade
