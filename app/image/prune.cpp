// `lade prune`: takes back room.
#include <cstdio>
#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "app/image/build_storage.hpp"
#include "app/image/commands.hpp"
#include "app/ui/flags.hpp"
#include "app/ui/listing.hpp"
#include "base/error.hpp"
#include "base/text.hpp"
#include "builder/options/build_values.hpp"
#include "snapshotter/gc/gc.hpp"
#include "solver/cache/cache_store.hpp"

namespace lade {
namespace {

struct PruneFlags {
  std::vector<std::string> filters;
  std::string keep_storage;
  std::string max_storage;
  bool all = false;
  bool force = false;
  bool verbose = false;
  bool dry_run = false;
};

LabelFilter read_label(const std::string& text, bool absent) {
  const auto equals = text.find('=');
  if (text.empty() || equals == 0) throw_usage("--filter: label= needs a name");
  LabelFilter filter{text.substr(0, equals), {}, absent};
  if (equals != std::string::npos) filter.value = text.substr(equals + 1);
  return filter;
}

void read_filter(const std::string& text, PruneOptions& options) {
  const auto equals = text.find('=');
  const std::string key = text.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (value.empty())
    throw_usage("--filter: " + lade::quoted(text) + " is not of the form KEY=VALUE");
  if (key == "until" || key == "unused-for") {
    options.unused_since = parse_until(value);
  } else if (key == "id") {
    options.ids.push_back(value);
  } else if (key == "description") {
    options.descriptions.push_back(value);
  } else if (key == "label" || key == "label!") {
    options.labels.push_back(read_label(value, key == "label!"));
  } else if (key == "type") {
    const auto type = usage_type(value);
    if (!type || *type == UsageType::database) {
      throw_usage(
          "--filter: there is no type " + lade::quoted(value),
          "there are: image, layer, blob, cache-mount, git, context, stat-cache, temporary");
    }
    options.types.insert(*type);
  } else {
    throw_usage("--filter: there is no " + lade::quoted(key),
                "there are: until, type, id, description, label, label!");
  }
}

PruneOptions check(const PruneFlags& flags) {
  PruneOptions options;
  options.all = flags.all;
  options.dry_run = flags.dry_run;
  try {
    for (const auto& filter : flags.filters) read_filter(filter, options);
    if (!flags.keep_storage.empty()) {
      options.keep_storage = SpaceLimit{.max_used = parse_disk_share(flags.keep_storage)};
    }
    if (!flags.max_storage.empty()) options.max_storage = parse_bytes(flags.max_storage);
  } catch (Error& error) {
    error.set_kind(ErrorKind::usage);
    throw;
  }
  return options;
}

bool confirmed(const PruneOptions& options) {
  fmt::print(
      "WARNING! This will remove:\n  - images without a name\n"
      "  - what no record of the build cache and no image needs\n");
  if (options.all && !options.is_limited()) {
    fmt::print("  - all of the build cache\n");
  } else if (options.is_limited()) {
    fmt::print("  - build cache, least recently used first\n");
  }
  fmt::print("\nAre you sure you want to continue? [y/N] ");
  std::fflush(stdout);
  std::string answer;
  std::getline(std::cin, answer);
  return to_lower(trim(answer)) == "y" || to_lower(trim(answer)) == "yes";
}

int run_prune(const Globals& globals, const PruneFlags& flags) {
  const PruneOptions options = check(flags);
  if (!flags.force && !flags.dry_run && !confirmed(options)) return 0;
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  CollectedRecords records(state->database());
  const PruneResult result = prune(*state, records, options);
  for (const auto& one : result.evicted) {
    if (!flags.verbose) {
      fmt::print("{} {}\n", usage_name(one.type), one.id);
      continue;
    }
    fmt::print("{} {} ({}): {}\n", usage_name(one.type), one.id, human_size(one.bytes), one.reason);
  }
  if (flags.dry_run) {
    fmt::print("Would reclaim: {}\n", human_size(result.bytes()));
    return 0;
  }
  fmt::print("Total reclaimed space: {}\n", human_size(result.bytes()));
  state->database().checkpoint_if_large();
  if (const auto text =
          options.max_storage ? over_limit(result, *options.max_storage) : std::nullopt) {
    fmt::print(stderr, "WARNING: {}\n", *text);
  }
  for (const auto& failure : result.failures) fmt::print(stderr, "ERROR: {}\n", failure);
  return result.failures.empty() ? 0 : 1;
}

}  // namespace

void add_prune_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<PruneFlags>();
  command.add_flag("-a,--all", flags->all,
                   "The whole build cache, not only what nothing refers to");
  command.add_list(
      "--filter", flags->filters,
      "until=DURATION|TIME (cache that was not used for so long, or since), type=TYPE, id=ID, "
      "description=TEXT (of cache), label=K[=V], label!=K[=V] (of images without a name)");
  command.add_flag("-f,--force", flags->force, "Do not ask");
  command.add_flag("--dry-run", flags->dry_run, "Only say what would be removed");
  command.add_option("--keep-storage", flags->keep_storage,
                     "Remove cache, least recently used first, until it takes no more than this: "
                     "SIZE, or N% of the disk");
  command.add_option("--max-storage", flags->max_storage,
                     "The same, until the whole state directory takes no more than this");
  command.add_flag("-v,--verbose", flags->verbose, "Say of each thing why it is removed");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_prune(globals, *flags); };
  });
}

}  // namespace lade
