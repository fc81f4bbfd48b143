// Pulling and pushing with Debian's docker-registry behind a proxy that lets things go wrong.
#include <filesystem>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/base64.hpp"
#include "base/sys.hpp"
#include "base/temp_dir.hpp"
#include "registry/client.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/fault_proxy.hpp"
#include "tests/support/registry_process.hpp"

namespace lade {
namespace {

using namespace std::chrono_literals;
using test::Fault;
using test::FaultProxy;
using test::RegistryProcess;
using ::testing::AnyOf;
using ::testing::HasSubstr;

class FaultTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (RegistryProcess::available()) registry_ = new RegistryProcess;
  }
  static void TearDownTestSuite() {
    delete registry_;
    registry_ = nullptr;
  }

  void SetUp() override {
    if (!registry_) GTEST_SKIP() << "docker-registry and skopeo are not installed";
    // Other bytes for each test: what one has pushed the next one's must not find.
    text_ = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    for (int i = 0; text_.size() < 2'000'000; ++i) text_ += fmt::format("{} ", i);
    blob_ = {std::string(media_type::kOciLayer), Digest::of(text_), text_.size(), {}, {}, {}, {}};
    proxy_ = std::make_unique<FaultProxy>(registry_->host());
    client_ = RegistryClient::create(options());
    direct_ = RegistryClient::create(options());
    content_ = ContentStore::open(dir_.path());
  }

  static RegistryOptions options() {
    RegistryOptions out;
    out.files = RegistryFiles{};
    out.http.retry_delay = 1ms;
    out.http.max_retry_delay = 20ms;
    return out;
  }
  Reference through() const { return Reference::parse(proxy_->host() + "/app:1"); }
  Reference direct() const { return Reference::parse(registry_->host() + "/app:1"); }
  void fault(const std::string& line) { proxy_->add(Fault::parse(line)); }

  /// The test's blob, from memory.
  class Memory : public BlobProvider {
   public:
    explicit Memory(const std::string& text) : text_(text) {}
    std::unique_ptr<ByteSource> open(const Descriptor&) override {
      return std::make_unique<StringSource>(text_);
    }
    std::string where() const override { return "a test"; }

   private:
    const std::string& text_;
  };

  BlobPush push(RegistryClient& client, const Reference& name) {
    Memory source(text_);
    return client.push_blob(name, blob_, source, {});
  }
  /// As builds do: into the content store, verified.
  void pull() {
    const auto source = client_->blobs(through())->open(blob_);
    const auto ingest = content_->ingest();
    copy_stream(*source, *ingest);
    ingest->commit(&blob_);
  }
  /// Neither a blob nor a part of one.
  bool store_is_empty() const {
    return std::filesystem::is_empty(dir_.path() + "/blobs/sha256") &&
           std::filesystem::is_empty(dir_.path() + "/tmp");
  }

  static RegistryProcess* registry_;
  std::string text_;
  Descriptor blob_;
  TempDir dir_ = TempDir::create(::testing::TempDir());
  std::unique_ptr<FaultProxy> proxy_;
  std::unique_ptr<RegistryClient> client_;
  std::unique_ptr<RegistryClient> direct_;
  std::unique_ptr<ContentStore> content_;
};

RegistryProcess* FaultTest::registry_ = nullptr;

TEST_F(FaultTest, PushesArriveWholeWhateverHappensOnTheWay) {
  for (const char* line : {"status HEAD /blobs/ 1 500", "status POST /uploads/ 2 503",
                           "status PUT /uploads/ 2 429 0", "cut_request PUT /uploads/ 2 700000",
                           "cut_response PUT /uploads/ 1 0", "cut_response POST /uploads/ 1 0"}) {
    text_ += line;
    blob_.digest = Digest::of(text_);
    blob_.size = text_.size();
    proxy_->reset();
    fault(line);
    EXPECT_EQ(push(*client_, through()), BlobPush::uploaded) << line;
    EXPECT_GE(proxy_->count("hit faults"), 1u) << line;
    EXPECT_EQ(direct_->fetch_blob(direct(), blob_), text_) << line;
    // And is not sent again.
    proxy_->reset();
    EXPECT_EQ(push(*client_, through()), BlobPush::present);
    EXPECT_EQ(proxy_->count("up bytes"), 0u);
  }
}

TEST_F(FaultTest, APushThatFailsLeavesNothingUnderItsDigest) {
  fault("cut_request PUT /uploads/ -1 900000");
  const std::string error = error_of([&] { push(*client_, through()); });
  EXPECT_THAT(error, HasSubstr("could not push the blob " + blob_.digest.str()));
  EXPECT_THAT(error, HasSubstr(proxy_->host()));
  EXPECT_FALSE(direct_->has_blob(direct(), blob_));
}

TEST_F(FaultTest, PullsArriveWholeWhateverHappensOnTheWay) {
  push(*direct_, direct());
  for (const char* line : {"status GET /blobs/ 3 503", "status GET /blobs/ 1 429 0",
                           "cut_response GET /blobs/ 3 500000", "cut_response GET /blobs/ 1 0",
                           "slow GET /blobs/ 1 8000000"}) {
    proxy_->reset();
    fault(line);
    EXPECT_EQ(error_of([&] { pull(); }), "") << line;
    EXPECT_GE(proxy_->count("hit faults"), 1u) << line;
    EXPECT_EQ(content_->read_blob(blob_.digest), text_);
    content_->remove(blob_.digest);
  }
}

TEST_F(FaultTest, WrongBytesAreErrorsAndNeverStored) {
  push(*direct_, direct());
  for (const char* line : {"corrupt GET /blobs/ -1 1999999", "corrupt GET /blobs/ -1 0",
                           "truncate GET /blobs/ -1 1", "truncate GET /blobs/ -1 2000000"}) {
    proxy_->reset();
    fault(line);
    try {
      pull();
      ADD_FAILURE() << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::corrupt) << line;
      EXPECT_THAT(error.message(), HasSubstr(blob_.digest.str())) << line;
    }
    EXPECT_TRUE(store_is_empty()) << line;
  }
}

TEST_F(FaultTest, APullThatIsCutForEverStoresNothing) {
  push(*direct_, direct());
  fault("cut_response GET /blobs/ -1 1000");
  EXPECT_THAT(error_of([&] { pull(); }), HasSubstr("cut the connection"));
  EXPECT_TRUE(store_is_empty());
}

TEST_F(FaultTest, LiesAboutManifestsAreErrors) {
  const std::string bytes = fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","manifests":[]}})",
                                        media_type::kOciIndex);
  const Descriptor index{
      std::string(media_type::kOciIndex), Digest::of(bytes), bytes.size(), {}, {}, {}, {}};
  fault("wrong_digest PUT /manifests/ 1");
  const std::string other = Digest::of("another").str();
  EXPECT_THAT(error_of([&] { client_->push_manifest(through(), index, bytes); }),
              HasSubstr(proxy_->host() + " stored " + index.digest.str() + " as " + other));
  client_->push_manifest(through(), index, bytes);
  fault("wrong_digest GET /manifests/ 1");
  EXPECT_THAT(error_of([&] { client_->fetch_manifest(through()); }), HasSubstr(other));
  Reference pinned = through();
  pinned.digest = index.digest;
  fault("corrupt GET /manifests/ 1 5");
  EXPECT_THAT(error_of([&] { client_->fetch_manifest(pinned); }),
              HasSubstr("not " + index.digest.str()));
  EXPECT_EQ(client_->fetch_manifest(pinned).bytes, bytes);
  fault("cut_response GET /manifests/ 1 5");
  EXPECT_EQ(client_->fetch_manifest(pinned).bytes, bytes);
}

TEST_F(FaultTest, MountsWithinTheRegistry) {
  push(*direct_, direct());
  Memory source(text_);
  const Reference other = Reference::parse(proxy_->host() + "/copy:1");
  EXPECT_EQ(client_->push_blob(other, blob_, source, {.mount_from = {through()}, .progress = {}}),
            BlobPush::mounted);
  EXPECT_EQ(proxy_->count("up bytes"), 0u);
  EXPECT_EQ(direct_->fetch_blob(Reference::parse(registry_->host() + "/copy"), blob_), text_);
}

}  // namespace
}  // namespace lade
