package bolt

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"sallyport/store"
)

// A record is a checksum, four numbers and the value:
//
//	CRC-32C (4) | create revision (8) | mod revision (8) | version (8) | lease (8) | value
//
// The checksum covers the key and all that follows it. bbolt has none for its
// pages, and a changed bit in a revocation must not pass for a value.
const recordHeader = 4 + 4*8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encode(kv store.KV) []byte {
	b := make([]byte, 4, recordHeader+len(kv.Value))
	for _, n := range []int64{kv.CreateRevision, kv.ModRevision, kv.Version, int64(kv.Lease)} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	b = append(b, kv.Value...)
	binary.BigEndian.PutUint32(b, checksum([]byte(kv.Key), b[4:]))
	return b
}

// decode copies out of the memory map: what it returns outlives the
// transaction.
func decode(path string, key, b []byte) (store.KV, error) {
	if len(b) < recordHeader {
		return store.KV{}, &CorruptError{File: path, Detail: fmt.Sprintf("record %q has only %d octets", key, len(b))}
	}
	if checksum(key, b[4:]) != binary.BigEndian.Uint32(b) {
		return store.KV{}, &CorruptError{File: path, Detail: fmt.Sprintf("record %q does not match its checksum", key)}
	}
	n := func(i int) int64 { return int64(binary.BigEndian.Uint64(b[4+8*i:])) }
	return store.KV{
		Key:            string(key),
		CreateRevision: n(0),
		ModRevision:    n(1),
		Version:        n(2),
		Lease:          store.LeaseID(n(3)),
		Value:          append([]byte{}, b[recordHeader:]...),
	}, nil
}

func checksum(key, rest []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, rest)
}
