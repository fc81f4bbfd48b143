// `lade du`: what takes how much room in the state directory.
#include <algorithm>
#include <cstdio>
#include <map>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "app/image/commands.hpp"
#include "app/image/image_facts.hpp"
#include "app/ui/listing.hpp"
#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "snapshotter/gc/gc_verify.hpp"
#include "solver/cache/cache_store.hpp"

namespace lade {
namespace {

struct DuFlags {
  std::string format;
  bool verbose = false;
  bool verify = false;
  bool why = false;
};

void print(const std::string& text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
}

std::string used_ago(int64_t seconds) {
  return seconds == 0 ? "" : time_ago(Timestamp{seconds, 0});
}

std::string on_one_line(std::string text) {
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20; }, ' ');
  constexpr size_t kWidth = 60;
  return text.size() <= kWidth ? text : text.substr(0, kWidth - 3) + "...";
}

void print_summary(const std::vector<UsageItem>& items, const std::string& format) {
  struct Sum {
    size_t count = 0;
    uint64_t bytes = 0;
    uint64_t reclaimable = 0;
    uint64_t unneeded = 0;
  };
  std::map<UsageType, Sum> sums;
  Sum all;
  for (const auto& item : items) {
    for (Sum* sum : {&sums[item.type], &all}) {
      ++sum->count;
      sum->bytes += item.bytes;
      sum->reclaimable += item.reclaimable_bytes;
      sum->unneeded += item.unneeded_bytes;
    }
  }
  std::vector<nlohmann::json> rows;
  const auto add = [&](std::string_view name, const Sum& sum) {
    const auto percent = sum.bytes == 0 ? 0 : sum.reclaimable * 100 / sum.bytes;
    rows.push_back({{"Type", name},
                    {"TotalCount", std::to_string(sum.count)},
                    {"Size", human_size(sum.bytes)},
                    {"Bytes", std::to_string(sum.bytes)},
                    {"Reclaimable", fmt::format("{} ({}%)", human_size(sum.reclaimable), percent)},
                    {"ReclaimableBytes", std::to_string(sum.reclaimable)},
                    {"UnneededBytes", std::to_string(sum.unneeded)}});
  };
  for (const auto& [type, sum] : sums) add(usage_name(type), sum);
  add("total", all);
  ListingKind kind;
  kind.table = "{{.Type}}\t{{.TotalCount}}\t{{.Size}}\t{{.Reclaimable}}";
  kind.headers = {{"Type", "TYPE"},
                  {"TotalCount", "TOTAL"},
                  {"Size", "SIZE"},
                  {"Bytes", "BYTES"},
                  {"Reclaimable", "RECLAIMABLE"},
                  {"ReclaimableBytes", "RECLAIMABLE BYTES"},
                  {"UnneededBytes", "UNNEEDED BYTES"}};
  print(listing(kind, format, rows));
  if (!format.empty()) return;
  print(fmt::format("lade prune frees {}, lade prune -a {}\n", human_size(all.unneeded),
                    human_size(all.reclaimable)));
}

void print_items(std::vector<UsageItem> items, const std::string& format) {
  std::stable_sort(items.begin(), items.end(),
                   [](const UsageItem& a, const UsageItem& b) { return a.bytes > b.bytes; });
  std::vector<nlohmann::json> rows;
  for (const auto& item : items) {
    rows.push_back({{"ID", format == "json" ? item.id : item.id.substr(0, 19)},
                    {"Type", usage_name(item.type)},
                    {"Size", human_size(item.bytes)},
                    {"Bytes", std::to_string(item.bytes)},
                    {"Reclaimable", item.reclaimable ? "true" : "false"},
                    {"InUse", item.in_use ? "true" : "false"},
                    {"Shared", item.users > 1 ? "true" : "false"},
                    {"UsageCount", std::to_string(item.users)},
                    {"LastUsedAt", item.last_used == 0 ? "" : Timestamp{item.last_used, 0}.str()},
                    {"LastUsedSince", used_ago(item.last_used)},
                    {"Description", on_one_line(item.description)}});
  }
  ListingKind kind;
  kind.table =
      "{{.ID}}\t{{.Type}}\t{{.Size}}\t{{.Shared}}\t{{.Reclaimable}}\t{{.LastUsedSince}}\t"
      "{{.Description}}";
  kind.headers = {{"ID", "ID"},
                  {"Type", "TYPE"},
                  {"Size", "SIZE"},
                  {"Bytes", "BYTES"},
                  {"Reclaimable", "RECLAIMABLE"},
                  {"InUse", "IN USE"},
                  {"Shared", "SHARED"},
                  {"UsageCount", "USAGE COUNT"},
                  {"LastUsedAt", "LAST USED AT"},
                  {"LastUsedSince", "LAST USED"},
                  {"Description", "DESCRIPTION"}};
  print(listing(kind, format, rows));
}

void print_evictions(StateDir& state, const std::string& format) {
  int64_t at = 0;
  const auto evictions = last_evictions(state, at);
  std::vector<nlohmann::json> rows;
  for (const auto& one : evictions) {
    rows.push_back({{"At", Timestamp{at, 0}.str()},
                    {"Type", usage_name(one.type)},
                    {"ID", format == "json" ? one.id : one.id.substr(0, 19)},
                    {"Size", human_size(one.bytes)},
                    {"Bytes", std::to_string(one.bytes)},
                    {"LastUsedSince", used_ago(one.last_used)},
                    {"Reason", one.reason},
                    {"Description", on_one_line(one.description)}});
  }
  ListingKind kind;
  kind.table = "{{.Type}}\t{{.ID}}\t{{.Size}}\t{{.LastUsedSince}}\t{{.Reason}}\t{{.Description}}";
  kind.headers = {{"At", "AT"},         {"Type", "TYPE"},
                  {"ID", "ID"},         {"Size", "SIZE"},
                  {"Bytes", "BYTES"},   {"LastUsedSince", "LAST USED"},
                  {"Reason", "REASON"}, {"Description", "DESCRIPTION"}};
  if (format.empty()) {
    if (evictions.empty()) return print("Nothing was removed yet.\n");
    print("Removed at " + Timestamp{at, 0}.str() + ":\n");
  }
  print(listing(kind, format, rows));
}

int verify(StateDir& state, GcRecords& records, const std::string& format) {
  const Verification found = verify_state(state, records);
  if (format == "json") {
    const nlohmann::json out = {{"Damage", found.damage},     {"Orphans", found.orphans},
                                {"Unneeded", found.unneeded}, {"Blobs", found.blobs},
                                {"Layers", found.layers},     {"Images", found.images}};
    print(out.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  } else {
    for (const auto& line : found.damage) print("DAMAGED " + line + "\n");
    for (const auto& line : found.orphans) print("orphan " + line + "\n");
    for (const auto& line : found.unneeded) print("unneeded " + line + "\n");
    print(fmt::format("{}, {}, {} checked: {} damaged, {}, {} unneeded\n",
                      counted(found.blobs, "blob"), counted(found.layers, "layer"),
                      counted(found.images, "image"), found.damage.size(),
                      counted(found.orphans.size(), "orphan"), found.unneeded.size()));
  }
  return found.damage.empty() ? 0 : 1;
}

int run_du(const Globals& globals, const DuFlags& flags) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  CollectedRecords records(state->database());
  if (flags.verify) return verify(*state, records, flags.format);
  if (flags.why) {
    print_evictions(*state, flags.format);
    return 0;
  }
  auto items = measure_usage(*state, records);
  if (flags.verbose) {
    print_items(std::move(items), flags.format);
  } else {
    print_summary(items, flags.format);
  }
  return 0;
}

}  // namespace

void add_du_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<DuFlags>();
  command.add_option("--format", flags->format,
                     "Format of the output: table, table TEMPLATE, json, or a Go template");
  const auto verbose =
      command.add_flag("-v,--verbose", flags->verbose, "Show each thing by itself");
  auto check = command.add_flag(
      "--verify", flags->verify,
      "Read everything and compare it with its digests, indexes and rows; 1 if there is damage");
  command.add_flag("--why", flags->why, "Show what the last collection removed, and why")
      .excludes(verbose)
      .excludes(check);
  check.excludes(verbose);
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_du(globals, *flags); };
  });
}

}  // namespace lade
