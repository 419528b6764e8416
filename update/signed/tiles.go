package signed

import (
	"context"
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/showcause/showcause/translog"
)

// continues proves that the log of a proof is the one that was seen before, grown:
// from the site's tiles, each of which the new checkpoint proves.
func (c *Client) continues(ctx context.Context, proof []byte) error {
	now, tree, err := translog.ProofTree(proof, c.verifier)
	if err != nil {
		return refuse(Unlogged, "proof", "%v", err)
	}
	old := c.state.Checkpoint
	c.state.Checkpoint = now
	if old == nil {
		return nil
	}
	was, err := translog.OpenTree(old, c.verifier)
	if err != nil { // the log's key was changed with the configuration
		return refuse(SplitView, "checkpoint", "what was seen before is of another log: %v", err)
	}
	switch {
	case was.N > tree.N:
		c.state.Checkpoint = old
		return c.prefix(ctx, tree, was)
	default:
		return c.prefix(ctx, was, tree)
	}
}

// prefix proves that the smaller tree is the beginning of the larger.
func (c *Client) prefix(ctx context.Context, small, large tlog.Tree) error {
	if small.N == 0 {
		return nil
	}
	root := large.Hash
	if small.N < large.N {
		r := &reader{ctx: ctx, c: c}
		var err error
		if root, err = tlog.TreeHash(small.N, tlog.TileHashReader(large, r)); err != nil {
			if r.err != nil {
				return r.err
			}
			return refuse(SplitView, "log", "its tiles are not those of its checkpoint: %v", err)
		}
	}
	if root != small.Hash {
		return refuse(SplitView, "log", "the log of %d entries does not continue the one of %d", large.N, small.N)
	}
	return nil
}

// reader reads tiles of the site's log.
type reader struct {
	ctx context.Context
	c   *Client
	err error // that no tile's content is to blame for
}

func (r *reader) Height() int { return translog.TileHeight }

func (r *reader) ReadTiles(tiles []tlog.Tile) (out [][]byte, err error) {
	for _, t := range tiles {
		path := "log/" + translog.TilePath(t)
		b, err := r.c.get(r.ctx, path, int64(t.W)*tlog.HashSize)
		var absent *Refusal
		if errors.As(err, &absent) && absent.Code == Missing && t.W < 1<<t.H {
			// The log has grown since, and its partial tile is a wider one, of which this is the beginning.
			full := t
			full.W = 1 << t.H
			path = "log/" + translog.TilePath(full)
			if b, err = r.c.get(r.ctx, path, int64(full.W)*tlog.HashSize); err == nil && len(b) >= t.W*tlog.HashSize {
				b = b[:t.W*tlog.HashSize]
			}
		}
		if err != nil {
			r.err = err
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

func (*reader) SaveTiles([]tlog.Tile, [][]byte) {}
