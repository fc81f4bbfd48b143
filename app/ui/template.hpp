// --format: the part of Go's text/template that people use with docker's --format, over JSON.
//
//   {{.Name}} {{.Config.Env}}  fields; {{.}} and {{$}} all of it
//   {{json .X}} {{len .X}} {{index .X 0}} {{index .X "key"}} {{join .X ", "}} {{split .X ":"}}
//   {{lower .X}} {{upper .X}} {{truncate .X 12}} {{println .X}} {{eq .X "a"}} {{ne ..}} {{not ..}}
//   {{.X | json}}, {{json (index .X 0)}}, {{if}} {{else}} {{end}}, {{range}}, {{with}},
//   {{- trimming -}}, {{/* comments */}}
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace lade {

class Template {
 public:
  /// Throws Error(usage) that shows what it does not understand. "\t" and "\n" as two characters
  /// count as one, as docker has it, since shells do not make them.
  explicit Template(std::string_view text);
  ~Template();
  Template(Template&&) noexcept;
  Template& operator=(Template&&) noexcept;

  /// Throws Error(usage) for a field that `data` does not have; deeper ones are "<no value>".
  std::string render(const nlohmann::json& data) const;

 private:
  struct Node;
  struct Expression;
  class Parser;
  class Renderer;
  std::unique_ptr<Node> root_;
};

}  // namespace lade
