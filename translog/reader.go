package translog

import (
	"github.com/transparency-dev/formats/proof"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// TileHeight is the height of a log's tiles.
const TileHeight = height

// TilePath is the path of a tile of hashes, or of entries (level -1), in a log's folder.
func TilePath(t tlog.Tile) string { return tilePath(t.L, t.N, t.W) }

// OpenTree returns the tree that a signed checkpoint tells of.
func OpenTree(checkpoint []byte, v note.Verifier) (tlog.Tree, error) {
	t, err := openCheckpoint(checkpoint, v, "")
	return t.Tree, err
}

// ProofTree returns the checkpoint that a proof rests on, and its tree. It does not
// check the proof.
func ProofTree(text []byte, v note.Verifier) (checkpoint []byte, t tlog.Tree, err error) {
	var p proof.TLogProof
	if err := p.Unmarshal(text); err != nil {
		return nil, t, fault(BadProof, "", "%v", err)
	}
	t, err = OpenTree(p.Checkpoint, v)
	return p.Checkpoint, t, err
}
