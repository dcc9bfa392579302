// SPDX-License-Identifier: Apache-2.0
#include "images/metadata.h"

#include <map>

#include "images/failpoint.h"

namespace berth::images {
namespace {

using Cell = Database::Cell;

constexpr std::string_view kMigrations[] = {
    // NOLINTNEXTLINE(bugprone-suspicious-missing-comma): one statement an element
    "CREATE TABLE images_image(id TEXT PRIMARY KEY, manifest TEXT NOT NULL, size INTEGER NOT NULL,"
    " blob_bytes INTEGER NOT NULL, root_mode INTEGER NOT NULL, root_uid INTEGER NOT NULL,"
    " root_gid INTEGER NOT NULL, hidden INTEGER NOT NULL)",
    "CREATE TABLE images_name(name TEXT PRIMARY KEY, image TEXT NOT NULL)",
    "CREATE TABLE images_layer(number INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE,"
    " bytes INTEGER NOT NULL, inodes INTEGER NOT NULL)",
    "CREATE TABLE images_chain(image TEXT NOT NULL, position INTEGER NOT NULL,"
    " layer INTEGER NOT NULL, PRIMARY KEY(image, position))",
    "CREATE TABLE images_container(id TEXT PRIMARY KEY, image TEXT NOT NULL)",
};

Cell Int(uint64_t value) { return static_cast<int64_t>(value); }

Status Exec(Database& db, std::string_view sql, std::vector<Cell> params) {
  return db.Run(sql, params).status();
}

Status PutNames(Database& db, const std::string& image, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    RETURN_IF_ERROR(Exec(db, "INSERT OR REPLACE INTO images_name VALUES(?1,?2)", {name, image}));
  }
  return absl::OkStatus();
}

}  // namespace

StatusOr<Metadata> Metadata::Open(Database* database) {
  RETURN_IF_ERROR(database->Migrate("images", kMigrations));
  return Metadata(database);
}

StatusOr<std::vector<ImageRow>> Metadata::LoadImages() const {
  std::map<std::string, ImageRow> images;
  ASSIGN_OR_RETURN(auto rows, database_->Run("SELECT id, manifest, size, blob_bytes, root_mode,"
                                             " root_uid, root_gid, hidden FROM images_image"));
  for (const auto& row : rows) {
    ImageRow& image = images[TextOf(row[0])];
    image.id = TextOf(row[0]);
    image.manifest = TextOf(row[1]);
    image.size = static_cast<uint64_t>(IntOf(row[2]));
    image.blob_bytes = static_cast<uint64_t>(IntOf(row[3]));
    image.root_mode = static_cast<mode_t>(IntOf(row[4]));
    image.root_uid = static_cast<uid_t>(IntOf(row[5]));
    image.root_gid = static_cast<gid_t>(IntOf(row[6]));
    image.hidden = IntOf(row[7]) != 0;
  }
  ASSIGN_OR_RETURN(
      auto chain, database_->Run("SELECT image, layer FROM images_chain ORDER BY image, position"));
  for (const auto& row : chain) {
    auto it = images.find(TextOf(row[0]));
    if (it != images.end()) it->second.chain.push_back(IntOf(row[1]));
  }
  ASSIGN_OR_RETURN(auto names, database_->Run("SELECT image, name FROM images_name ORDER BY name"));
  for (const auto& row : names) {
    auto it = images.find(TextOf(row[0]));
    if (it != images.end()) it->second.names.push_back(TextOf(row[1]));
  }
  std::vector<ImageRow> result;
  for (auto& [id, image] : images) result.push_back(std::move(image));
  return result;
}

StatusOr<std::vector<LayerRow>> Metadata::LoadLayers() const {
  ASSIGN_OR_RETURN(auto rows,
                   database_->Run("SELECT number, key, bytes, inodes FROM images_layer"));
  std::vector<LayerRow> result;
  for (const auto& row : rows) {
    result.push_back({IntOf(row[0]), TextOf(row[1]), static_cast<uint64_t>(IntOf(row[2])),
                      static_cast<uint64_t>(IntOf(row[3]))});
  }
  return result;
}

StatusOr<std::vector<ContainerRow>> Metadata::LoadContainers() const {
  ASSIGN_OR_RETURN(auto rows, database_->Run("SELECT id, image FROM images_container"));
  std::vector<ContainerRow> result;
  for (const auto& row : rows) result.push_back({TextOf(row[0]), TextOf(row[1])});
  return result;
}

Status Metadata::PutImage(const ImageRow& image, const std::vector<LayerRow>& layers) const {
  return database_->Transact(/*durable=*/true, [&](Database& db) -> Status {
    for (const LayerRow& layer : layers) {
      RETURN_IF_ERROR(Exec(db, "INSERT INTO images_layer VALUES(?1,?2,?3,?4)",
                           {layer.number, layer.key, Int(layer.bytes), Int(layer.inodes)}));
    }
    RETURN_IF_ERROR(Exec(db, "INSERT OR REPLACE INTO images_image VALUES(?1,?2,?3,?4,?5,?6,?7,0)",
                         {image.id, image.manifest, Int(image.size), Int(image.blob_bytes),
                          Int(image.root_mode), Int(image.root_uid), Int(image.root_gid)}));
    RETURN_IF_ERROR(Exec(db, "DELETE FROM images_chain WHERE image = ?1", {image.id}));
    for (size_t i = 0; i < image.chain.size(); ++i) {
      RETURN_IF_ERROR(Exec(db, "INSERT INTO images_chain VALUES(?1,?2,?3)",
                           {image.id, Int(i), image.chain[i]}));
    }
    RETURN_IF_ERROR(PutNames(db, image.id, image.names));
    Failpoint("images.transaction");
    return absl::OkStatus();
  });
}

Status Metadata::AddNames(const std::string& image, const std::vector<std::string>& names) const {
  return database_->Transact(/*durable=*/true, [&](Database& db) -> Status {
    RETURN_IF_ERROR(Exec(db, "UPDATE images_image SET hidden = 0 WHERE id = ?1", {image}));
    return PutNames(db, image, names);
  });
}

Status Metadata::RemoveImage(const std::string& image, bool hide,
                             const std::vector<int64_t>& dead) const {
  return database_->Transact(/*durable=*/true, [&](Database& db) -> Status {
    RETURN_IF_ERROR(Exec(db, "DELETE FROM images_name WHERE image = ?1", {image}));
    if (hide) return Exec(db, "UPDATE images_image SET hidden = 1 WHERE id = ?1", {image});
    RETURN_IF_ERROR(Exec(db, "DELETE FROM images_chain WHERE image = ?1", {image}));
    RETURN_IF_ERROR(Exec(db, "DELETE FROM images_image WHERE id = ?1", {image}));
    for (int64_t number : dead) {
      RETURN_IF_ERROR(Exec(db, "DELETE FROM images_layer WHERE number = ?1", {number}));
    }
    return absl::OkStatus();
  });
}

Status Metadata::PutContainer(const ContainerRow& container) const {
  return Exec(*database_, "INSERT OR REPLACE INTO images_container VALUES(?1,?2)",
              {container.id, container.image});
}

Status Metadata::RemoveContainer(const std::string& id) const {
  return Exec(*database_, "DELETE FROM images_container WHERE id = ?1", {id});
}

}  // namespace berth::images
