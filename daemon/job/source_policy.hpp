// Source policies: rules of the client's on which sources its build may use, and what it uses
// instead. Rules come with the request, or the client is asked about each source.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "solver/lower/lower.hpp"

namespace pb {
class SourceOp;
}
namespace moby::buildkit::v1 {
namespace sourcepolicy {
class Policy;
}
namespace frontend {
class ResolveSourceMetaRequest;
class ResolveSourceMetaResponse;
}  // namespace frontend
}  // namespace moby::buildkit::v1

namespace lade {

class SessionCalls;

/// Copies are cheap. Thread-safe once it is made.
class SourcePolicies {
 public:
  /// Answers what the client wants to know of a source before it decides.
  using Describe = std::function<moby::buildkit::v1::frontend::ResolveSourceMetaResponse(
      const moby::buildkit::v1::frontend::ResolveSourceMetaRequest&)>;

  /// Throws Error for a policy that makes no sense.
  void add(const moby::buildkit::v1::sourcepolicy::Policy& policy);
  /// The client behind `session` is asked, too, after the rules.
  void ask(std::shared_ptr<SessionCalls> session, Describe describe);
  bool empty() const { return policies_.empty() && !session_; }

  /// Rewrites the source (as LLB has it) if the policies say so; returns whether. Throws Error if
  /// it is denied.
  bool apply(pb::SourceOp& source, const std::string& platform) const;
  /// The same for a directory of the client's, which cannot become anything else.
  void allow_directory(const std::string& name) const;

 private:
  bool apply_rules(pb::SourceOp& source) const;
  bool ask_client(pb::SourceOp& source, const std::string& platform, int left) const;

  std::vector<std::shared_ptr<const moby::buildkit::v1::sourcepolicy::Policy>> policies_;
  std::shared_ptr<SessionCalls> session_;
  Describe describe_;
};

/// `base`, and those of a list of messages.
template <class List>
SourcePolicies extended(SourcePolicies base, const List& more) {
  for (const auto& policy : more) base.add(policy);
  return base;
}

/// Resolves images that the policies allow, or those that they say instead.
class PolicyImages : public ImageResolver {
 public:
  /// What is passed must outlive it.
  PolicyImages(ImageResolver& images, const SourcePolicies& policies)
      : images_(images), policies_(policies) {}
  BaseImage resolve(const std::string& source, const Platform& platform) override;

 private:
  ImageResolver& images_;
  const SourcePolicies& policies_;
};

}  // namespace lade
