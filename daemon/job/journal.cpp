#include "daemon/job/journal.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <fmt/format.h>
#include <unistd.h>

#include "base/clock.hpp"
#include "base/error.hpp"
#include "base/sys.hpp"
#include "base/utf8.hpp"
#include "builder/attest/graph_json.hpp"
#include "daemon/proto/control.pb.h"

namespace lade {
namespace {

using moby::buildkit::v1::StatusResponse;

constexpr uint64_t kReadSize = 256u << 10;
constexpr uint32_t kMaxRecord = 8u << 20;
constexpr auto kJournalLookAround = std::chrono::milliseconds(100);
constexpr size_t kMaxItems = 1000;  // of one vertex; pushes have an item per blob

constexpr uint64_t kMaxLog = 2u << 20;
constexpr size_t kClippedTail = 256u << 10;

/// $BUILDKIT_STEP_LOG_MAX_SIZE.
uint64_t max_log() {
  const std::string text = sys::getenv("BUILDKIT_STEP_LOG_MAX_SIZE");
  int64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return kMaxLog;
  return size < 0 ? ~uint64_t{0} : static_cast<uint64_t>(size);
}

std::string clip_notice(uint64_t limit) {
  constexpr uint64_t kMebibyte = 1u << 20;
  const std::string size =
      limit % kMebibyte == 0 ? fmt::format("{}MiB", limit / kMebibyte) : fmt::format("{}B", limit);
  return fmt::format("\n[output clipped, log limit {} reached]\n", size);
}

void set_time(google::protobuf::Timestamp& out, int64_t ns) {
  out.set_seconds(ns / 1'000'000'000);
  out.set_nanos(static_cast<int32_t>(ns % 1'000'000'000));
}

/// proto3 strings are UTF-8, and what steps and files are called need not be.
std::string utf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const Utf8Char next = decode_utf8(text, i);
    out += next.code < kInvalidByte ? text.substr(i, next.size) : "\xef\xbf\xbd";
    i += next.size;
  }
  return out;
}

std::string read_messages(int fd, uint64_t& offset, uint64_t end) {
  std::string out;
  while (offset + 4 <= end && out.size() < kReadSize) {
    unsigned char head[4];
    sys::pread_exact(fd, reinterpret_cast<char*>(head), sizeof head, offset);
    const uint32_t size = head[0] | head[1] << 8 | head[2] << 16 | uint32_t{head[3]} << 24;
    if (size > kMaxRecord || offset + 4 + size > end) {
      throw Error("the journal of a build is damaged", ErrorKind::corrupt);
    }
    const size_t at = out.size();
    out.resize(at + size);
    sys::pread_exact(fd, out.data() + at, size, offset + 4);
    offset += 4 + size;
  }
  return out;
}

}  // namespace

Journal::Journal(const std::string& path)
    : fd_(sys::open(path, O_RDWR | O_CREAT | O_TRUNC, 0600)), max_log_(max_log()) {}

void Journal::append(const StatusResponse& message) {
  const std::lock_guard lock(mutex_);
  append_locked(message);
}

void Journal::append_locked(const StatusResponse& message) {
  const std::string bytes = message.SerializeAsString();
  const auto size = static_cast<uint32_t>(bytes.size());
  std::string record;
  for (int shift = 0; shift < 32; shift += 8) record += static_cast<char>(size >> shift & 0xff);
  record += bytes;
  sys::write_all(fd_.get(), record);
  size_ += record.size();
  changed_.notify_all();
}

void Journal::describe(moby::buildkit::v1::Vertex& out, const std::string& digest,
                       const Vertex& vertex) {
  out.set_digest(digest);
  out.set_name(utf8(vertex.name));
  for (const auto& input : vertex.inputs) out.add_inputs(input);
  out.set_cached(vertex.cached);
  if (vertex.started) set_time(*out.mutable_started(), vertex.started);
  if (vertex.ended) set_time(*out.mutable_completed(), vertex.ended);
  out.set_error(vertex.error);
}

void Journal::tell(const std::string& digest, const Vertex& vertex) {
  StatusResponse message;
  describe(*message.add_vertexes(), digest, vertex);
  append_locked(message);
}

void Journal::declare(const std::string& vertex, std::string_view name,
                      const std::vector<std::string>& inputs) {
  const std::lock_guard lock(mutex_);
  Vertex& known = vertices_[vertex];
  if (known.told) return;
  known.told = true;
  known.name = name;
  known.inputs = inputs;
  tell(vertex, known);
}

void Journal::started(const std::string& vertex) {
  const std::lock_guard lock(mutex_);
  Vertex& known = vertices_[vertex];
  if (known.started) return;
  known.started = now_ns();
  tell(vertex, known);
}

void Journal::completed(const std::string& vertex, bool cached, std::string_view error) {
  const std::lock_guard lock(mutex_);
  Vertex& known = vertices_[vertex];
  if (known.completed) return;
  const int64_t now = now_ns();
  if (!known.started) known.started = now;
  tell_clipped(vertex, known);
  known.completed = error.empty();
  known.cached = cached;
  known.ended = now;
  known.error = utf8(error);
  tell(vertex, known);
}

void Journal::log(const std::string& vertex, LogStream stream, std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  Vertex& known = vertices_[vertex];
  const uint64_t before = known.log_bytes;
  known.log_bytes += bytes.size();
  const uint64_t room = max_log_ - std::min(max_log_, before);
  if (room > 0) write_log(vertex, stream, bytes.substr(0, room));
  if (bytes.size() <= room) return;
  if (before <= max_log_) write_log(vertex, stream, clip_notice(max_log_));
  std::string& tail = known.clipped[stream == LogStream::err];
  tail += bytes.substr(room);
  if (tail.size() > 2 * kClippedTail) tail.erase(0, tail.size() - kClippedTail);
}

void Journal::tell_clipped(const std::string& digest, Vertex& vertex) {
  for (const auto stream : {LogStream::out, LogStream::err}) {
    std::string& tail = vertex.clipped[stream == LogStream::err];
    if (tail.size() > kClippedTail) tail.erase(0, tail.size() - kClippedTail);
    if (!tail.empty()) write_log(digest, stream, tail);
    tail = {};
  }
}

void Journal::write_log(const std::string& vertex, LogStream stream, std::string_view bytes) {
  StatusResponse message;
  auto& out = *message.add_logs();
  out.set_vertex(vertex);
  set_time(*out.mutable_timestamp(), now_ns());
  out.set_stream(stream == LogStream::out ? 1 : 2);
  out.set_msg(std::string(bytes));
  append_locked(message);
}

void Journal::status(const std::string& vertex, std::string_view item, uint64_t current,
                     uint64_t total) {
  const std::lock_guard lock(mutex_);
  Vertex& known = vertices_[vertex];
  const std::string name = utf8(item);
  if (known.items.size() >= kMaxItems && !known.items.contains(name)) return;
  const bool done = current >= total;
  if (done && !known.done_items.insert(name).second) return;
  const int64_t now = now_ns();
  const int64_t started = known.items.try_emplace(name, now).first->second;
  StatusResponse message;
  auto& out = *message.add_statuses();
  out.set_id(name);
  out.set_name(name.substr(0, name.find(' ')));  // what is done, without what it is done to
  out.set_vertex(vertex);
  out.set_current(static_cast<int64_t>(current));
  out.set_total(static_cast<int64_t>(total));
  set_time(*out.mutable_timestamp(), now);
  set_time(*out.mutable_started(), started);
  if (done) set_time(*out.mutable_completed(), now);
  append_locked(message);
}

void Journal::warning(const std::string& vertex, const parser::Warning& warning) {
  StatusResponse message;
  auto& out = *message.add_warnings();
  out.set_vertex(vertex);
  out.set_level(1);
  std::string text = fmt::format("{}: {}", warning.rule->name, warning.message);
  if (warning.range.first_line > 0) text += fmt::format(" (line {})", warning.range.first_line);
  out.set_short_(text);
  out.add_detail(std::string(warning.rule->description));
  out.set_url(std::string(warning.rule->url));
  if (warning.range.file) {
    auto& info = *out.mutable_info();
    info.set_filename(utf8(warning.range.file->name));
    info.set_data(warning.range.file->text);
    info.set_language("Dockerfile");
    auto& range = *out.add_ranges();
    range.mutable_start()->set_line(warning.range.first_line);
    range.mutable_end()->set_line(std::max(warning.range.last_line, warning.range.first_line));
  }
  tell_warning(vertex, message);
}

void Journal::warning(const std::string& vertex, std::string_view text) {
  StatusResponse message;
  auto& out = *message.add_warnings();
  out.set_vertex(vertex);
  out.set_level(1);
  out.set_short_(std::string(text));
  tell_warning(vertex, message);
}

/// Displays show a vertex's warnings when they hear of the vertex, and it may have ended long ago.
void Journal::tell_warning(const std::string& digest, StatusResponse& message) {
  const std::lock_guard lock(mutex_);
  ++warnings_;
  const auto vertex = vertices_.find(digest);
  if (vertex != vertices_.end() && vertex->second.told) {
    describe(*message.add_vertexes(), digest, vertex->second);
  }
  append_locked(message);
}

void Journal::finish() {
  const std::lock_guard lock(mutex_);
  finished_ = true;
  changed_.notify_all();
}

std::string Journal::read(uint64_t& offset, const std::function<bool()>& stop) {
  std::unique_lock lock(mutex_);
  while (offset >= size_ && !finished_) {
    if (stop()) return {};
    changed_.wait_for(lock, kJournalLookAround);
  }
  const uint64_t end = size_;
  lock.unlock();
  return read_messages(fd_.get(), offset, end);
}

Journal::Counts Journal::counts() const {
  const std::lock_guard lock(mutex_);
  Counts counts;
  for (const auto& [digest, vertex] : vertices_) {
    ++counts.total;
    counts.completed += vertex.completed ? 1 : 0;
    counts.cached += vertex.cached ? 1 : 0;
  }
  counts.warnings = warnings_;
  return counts;
}

std::string read_journal(const std::string& path, uint64_t& offset) {
  const UniqueFd file = sys::open(path, O_RDONLY);
  const auto info = sys::fstat(file.get());
  return read_messages(file.get(), offset, static_cast<uint64_t>(info.st_size));
}

void ProgressToJournal::declared(VertexNumber vertex, std::string_view name) {
  journal_.declare(digest_of(vertex), name, inputs_of(vertex));
}
void ProgressToJournal::started(VertexNumber vertex) {
  journal_.started(digest_of(vertex));
}
void ProgressToJournal::cached(VertexNumber vertex) {
  journal_.completed(digest_of(vertex), true);
}
void ProgressToJournal::completed(VertexNumber vertex) {
  journal_.completed(digest_of(vertex), false);
}
void ProgressToJournal::failed(VertexNumber vertex, std::string_view message) {
  journal_.completed(digest_of(vertex), false, message.empty() ? "failed" : message);
}
void ProgressToJournal::canceled(VertexNumber vertex) {
  journal_.completed(digest_of(vertex), false, "context canceled");
}
void ProgressToJournal::log(VertexNumber vertex, LogStream stream, std::string_view bytes) {
  journal_.log(digest_of(vertex), stream, bytes);
}
void ProgressToJournal::status(VertexNumber vertex, std::string_view item, uint64_t current,
                               uint64_t total) {
  journal_.status(digest_of(vertex), item, current, total);
}
void ProgressToJournal::warning(std::string_view message) {
  journal_.warning(whole(), message);
}
std::vector<std::string> ProgressToJournal::inputs_of(VertexNumber) const {
  return {};
}

JournalProgress::JournalProgress(Journal& journal, const Definition& definition)
    : ProgressToJournal(journal), definition_(definition), digests_(vertex_digests(definition)) {}

std::vector<std::string> JournalProgress::inputs_of(VertexNumber vertex) const {
  std::vector<std::string> inputs;
  for (const Edge& input : definition_.vertices.at(vertex - 1).inputs) {
    if (!definition_.vertices.at(input.vertex).name.empty()) {
      inputs.push_back(digests_.at(input.vertex));
    }
  }
  return inputs;
}

std::string StepProgress::digest_of(VertexNumber vertex) const {
  return Digest::of(fmt::format("lade step\n{}\n{}", scope_, vertex)).str();
}

}  // namespace lade
