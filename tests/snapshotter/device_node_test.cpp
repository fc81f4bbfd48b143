#include "snapshotter/tree/device_node.hpp"

#include <gtest/gtest.h>

#include "snapshotter/tree/overlay_xattrs.hpp"

namespace lade {
namespace {

Entry empty_file() {
  Entry entry;
  entry.path = "f";
  entry.type = EntryType::regular;
  return entry;
}

TEST(DeviceMark, SaysWhichDeviceAnEmptyFileStandsFor) {
  Entry entry = empty_file();
  read_device_mark("c 1:3", entry);
  EXPECT_EQ(entry.type, EntryType::char_device);
  EXPECT_EQ(entry.dev_major, 1u);
  EXPECT_EQ(entry.dev_minor, 3u);
  entry = empty_file();
  read_device_mark("b 8:4294967295", entry);
  EXPECT_EQ(entry.type, EntryType::block_device);
  EXPECT_EQ(entry.dev_minor, 4294967295u);
}

TEST(DeviceMark, WhatSaysNothingIsAnEmptyFile) {
  for (const char* mark : {"", "c", "c ", "c 1", "c 1:", "c :1", "c 1:2:3", "d 1:3", "c1:3",
                           "c -1:3", "c 1: 3", "c 99999999999:1", "c 1:3\n"}) {
    Entry entry = empty_file();
    read_device_mark(mark, entry);
    EXPECT_EQ(entry.type, EntryType::regular) << mark;
  }
}

TEST(DeviceMark, MakesNoWhiteout) {
  Entry entry = empty_file();
  read_device_mark("c 0:0", entry);
  EXPECT_EQ(entry.type, EntryType::regular);
}

TEST(DeviceMark, CountsOnEmptyFilesOnly) {
  Entry entry = empty_file();
  entry.size = 1;
  read_device_mark("c 1:3", entry);
  EXPECT_EQ(entry.type, EntryType::regular);
  entry = empty_file();
  entry.type = EntryType::directory;
  read_device_mark("c 1:3", entry);
  EXPECT_EQ(entry.type, EntryType::directory);
}

TEST(DeviceMark, IsInNoImage) {
  EXPECT_TRUE(is_overlay_xattr(kDeviceMark));
}

}  // namespace
}  // namespace lade
