// `lade inspect`: all that is known of images, in the shape of `docker image inspect`.
#include <cstdio>

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "app/image/commands.hpp"
#include "app/image/image_facts.hpp"
#include "app/ui/print_error.hpp"
#include "app/ui/template.hpp"
#include "base/error.hpp"
#include "base/shown_text.hpp"
#include "snapshotter/content/reference.hpp"

namespace lade {
namespace {

using Json = nlohmann::json;
using OrderedJson = nlohmann::ordered_json;

struct InspectFlags {
  std::vector<std::string> images;
  std::string format;
  std::string platform;
};

template <class Strings>
OrderedJson list_or_null(const std::optional<Strings>& strings) {
  return strings ? OrderedJson(*strings) : OrderedJson();
}

OrderedJson set_or_null(const std::set<std::string>& names) {
  if (names.empty()) return nullptr;
  OrderedJson out = OrderedJson::object();
  for (const auto& name : names) out[name] = OrderedJson::object();
  return out;
}

/// The config document itself has what ImageConfig leaves out; what is shown are docker's fields.
OrderedJson container_config(const ContainerConfig& config) {
  OrderedJson out;
  out["User"] = config.user;
  if (!config.exposed_ports.empty()) out["ExposedPorts"] = set_or_null(config.exposed_ports);
  out["Env"] = config.env.empty() ? OrderedJson() : OrderedJson(config.env);
  out["Cmd"] = list_or_null(config.cmd);
  if (config.healthcheck) {
    OrderedJson& check = out["Healthcheck"];
    check["Test"] = config.healthcheck->test;
    const auto set = [&](const char* name, int64_t value) {
      if (value != 0) check[name] = value;
    };
    set("Interval", config.healthcheck->interval_ns);
    set("Timeout", config.healthcheck->timeout_ns);
    set("StartPeriod", config.healthcheck->start_period_ns);
    set("StartInterval", config.healthcheck->start_interval_ns);
    set("Retries", config.healthcheck->retries);
  }
  if (config.args_escaped) out["ArgsEscaped"] = true;
  out["Volumes"] = set_or_null(config.volumes);
  out["WorkingDir"] = config.working_dir;
  out["Entrypoint"] = list_or_null(config.entrypoint);
  out["OnBuild"] = config.on_build.empty() ? OrderedJson() : OrderedJson(config.on_build);
  out["Labels"] = config.labels.empty() ? OrderedJson() : OrderedJson(config.labels);
  if (!config.stop_signal.empty()) out["StopSignal"] = config.stop_signal;
  if (config.stop_timeout) out["StopTimeout"] = *config.stop_timeout;
  if (config.shell) out["Shell"] = *config.shell;
  return out;
}

OrderedJson descriptor_json(const Descriptor& descriptor) {
  OrderedJson out;
  out["mediaType"] = descriptor.media_type;
  out["digest"] = descriptor.digest.str();
  out["size"] = descriptor.size;
  return out;
}

OrderedJson inspect(StateDir& state, const StoredImage& image, const StoredManifest& manifest) {
  OrderedJson tags = OrderedJson::array();
  OrderedJson digests = OrderedJson::array();
  std::optional<int64_t> tagged;
  for (const auto& name : image.names) {
    if (is_unnamed(name.name)) continue;
    tags.push_back(Reference::parse(name.name).familiar());
    digests.push_back(shown_name(name.name).repository + "@" + name.target.digest.str());
    tagged = std::max(tagged.value_or(0), name.created_at);
  }
  const ImageConfig& config = manifest.config;
  OrderedJson out;
  out["Id"] = image.id().str();
  out["RepoTags"] = tags;
  out["RepoDigests"] = digests;
  out["Parent"] = "";
  out["Comment"] = config.history.empty() ? "" : config.history.back().comment;
  if (config.created) out["Created"] = config.created->str();
  out["DockerVersion"] = "";
  out["Author"] = config.author;
  out["Architecture"] = config.platform.architecture;
  if (!config.platform.variant.empty()) out["Variant"] = config.platform.variant;
  out["Os"] = config.platform.os;
  if (!config.platform.os_version.empty()) out["OsVersion"] = config.platform.os_version;
  out["Size"] = image_size(state, manifest);
  OrderedJson layers = OrderedJson::array();
  for (const auto& diff_id : config.diff_ids) layers.push_back(diff_id.digest.str());
  out["RootFS"] = {{"Type", "layers"}, {"Layers", layers}};
  out["Metadata"]["LastTagTime"] =
      tagged ? Timestamp{*tagged, 0}.str() : std::string("0001-01-01T00:00:00Z");
  out["Descriptor"] = descriptor_json(image.target);
  out["Config"] = container_config(config.config);
  return out;
}

int run_inspect(const Globals& globals, const InspectFlags& flags) {
  const auto state = StateDir::open(StateDir::default_root(globals.root));
  const Platform platform =
      flags.platform.empty() ? Platform::host() : Platform::parse(flags.platform);
  std::optional<Template> format;
  if (!flags.format.empty() && flags.format != "json") format.emplace(flags.format);
  OrderedJson all = OrderedJson::array();
  int code = 0;
  for (const auto& name : flags.images) {
    try {
      const StoredImage image = find_stored_image(state->images(), state->content(), name);
      const auto* manifest = image.for_platform(platform);
      if (!manifest) throw Error(lade::quoted(name) + " has no image of which the config is here");
      if (!flags.platform.empty() && !platform.accepts(manifest->config.platform.normalized())) {
        throw Error(lade::quoted(name) + " has no image for " + platform.str(),
                    ErrorKind::not_found);
      }
      all.push_back(inspect(*state, image, *manifest));
    } catch (const Error& error) {
      print_error(error);
      code = 1;
    }
  }
  const auto replace = Json::error_handler_t::replace;
  if (!format) {
    fmt::print("{}\n", flags.format == "json" ? all.dump(-1, ' ', false, replace)
                                              : all.dump(4, ' ', false, replace));
    return code;
  }
  for (const auto& one : all) {
    fmt::print("{}\n", shown_on(STDOUT_FILENO, format->render(Json(one))));
  }
  return code;
}

}  // namespace

void add_inspect_command(CommandLine& command, const Globals& globals, CommandAction& action) {
  auto flags = std::make_shared<InspectFlags>();
  command.add_option("IMAGE", flags->images, "Images: names, NAME@DIGEST or IDs").required();
  command.add_option("-f,--format", flags->format, "Format of the output: json, or a Go template");
  command.add_option("--platform", flags->platform,
                     "Which image of an index (default: this machine's)");
  command.callback([flags, &globals, &action] {
    action = [flags, &globals] { return run_inspect(globals, *flags); };
  });
}

}  // namespace lade
