#include "daemon/session/early_listing.hpp"

#include "base/wire.hpp"

namespace lade {
namespace {

std::vector<std::string> read_texts(WireReader& reader) {
  std::vector<std::string> out;
  for (size_t i = reader.count(); i > 0; --i) out.emplace_back(reader.text());
  return out;
}

}  // namespace

std::string request_text(const DirectoryRequest& request) {
  WireWriter out;
  out.texts(request.include).texts(request.exclude).texts(request.follow);
  return out.take();
}

DirectoryRequest parse_request(const std::string& name, std::string_view text) {
  WireReader reader(text);
  DirectoryRequest out;
  out.name = name;
  out.include = read_texts(reader);
  out.exclude = read_texts(reader);
  out.follow = read_texts(reader);
  return out;
}

void EarlyListings::start(SessionCalls& session, const std::string& key,
                          const DirectoryRequest& request) {
  auto call = session.open_directory(request);
  const std::lock_guard lock(mutex_);
  started_.insert_or_assign(key, Started{request, std::move(call)});
}

std::unique_ptr<DirectoryCall> EarlyListings::take(const std::string& key,
                                                   const DirectoryRequest& request) {
  const std::lock_guard lock(mutex_);
  const auto found = started_.find(key);
  if (found == started_.end()) return nullptr;
  Started started = std::move(found->second);
  started_.erase(found);
  if (started.request != request) return nullptr;
  return std::move(started.call);
}

void EarlyListings::drop() {
  const std::lock_guard lock(mutex_);
  started_.clear();
}

}  // namespace lade
