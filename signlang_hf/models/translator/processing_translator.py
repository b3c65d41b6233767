"""Processor of the gloss-to-text translator: glosses and sentences ↔ ids.

Design decisions:

* Everything lies in one JSON file: the gloss vocabulary as a list, the target's tokenizer as the JSON text of the tokenizers library.
  A tokenizer of transformers would write a class name that the other generation cannot load.
* Both sides number their special tokens alike: 0 padding, 1 start, 2 end, 3 unknown. A source ends with its end token, so that
  attention has a place to look at when no gloss is meant.
* Words and word pieces carry the space before them (``▁``). Decoding therefore gives back the very text, whether its full stop
  stood apart, as in corpora that come tokenized, or at the word.
* Glosses are matched as the recogniser matches them, whatever their case. An unknown one that is put together of known ones (``split_glosses``) is read as those.
* A word that the model cannot name is copied from the gloss that it looked at (Jean et al. 2015): ``decode`` does it when it is given
  glosses and attention.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import BPE, WordLevel
from tokenizers.trainers import BpeTrainer
from transformers import BatchFeature, FeatureExtractionMixin

from signlang_hf.models.ctc.processing_ctc import fold, gloss_vocabulary

SPECIAL_TOKENS: tuple[str, ...] = ("<pad>", "<s>", "</s>", "<unk>")
"""The first tokens of both vocabularies."""
PAD, BOS, EOS, UNK = range(len(SPECIAL_TOKENS))
IGNORED = -100
"""What labels are padded with: no loss is taken there."""
_SPACE = "▁"
# A word with the space before it, or a single sign of punctuation.
_WORD = rf"{_SPACE}?[\w'’\-]+|{_SPACE}?[^\w{_SPACE}]"
_DERIVED = ("_source_ids", "_tokenizer", "_sampler")


class SignTranslatorProcessor(FeatureExtractionMixin):
    """Turns glosses and sentences into ids, and ids into sentences. :meth:`train` makes one from a corpus.

    Args:
        source_vocabulary: glosses in the order of their ids, with or without the special tokens in front.
        target_tokenizer: JSON text of a ``tokenizers.Tokenizer`` whose first tokens are the special ones.
        lowercase: copied glosses become lower case, as the target is.
        split_glosses: characters at which an unknown gloss is taken apart, such as ``"-+"``; "" leaves it unknown.

    Raises:
        ValueError: a vocabulary with doubles, or a tokenizer that cannot be read or numbers its special tokens otherwise.
    """

    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012 - transformers reads a plain list

    def __init__(
        self,
        source_vocabulary: Sequence[str] = (),
        target_tokenizer: str | None = None,
        lowercase: bool = True,
        split_glosses: str = "",
        **kwargs: Any,
    ) -> None:
        for derived in ("padding_value", "padding_side"):  # pipelines ask for them; the saved copies are for readers
            kwargs.pop(derived, None)
        super().__init__(padding_value=PAD, padding_side="right", **kwargs)
        glosses = list(source_vocabulary)
        if tuple(glosses[: len(SPECIAL_TOKENS)]) == SPECIAL_TOKENS:
            glosses = glosses[len(SPECIAL_TOKENS) :]
        self.source_vocabulary = [*SPECIAL_TOKENS, *glosses]
        self._source_ids = {fold(gloss): place for place, gloss in enumerate(self.source_vocabulary)}
        if len(self._source_ids) < len(self.source_vocabulary):
            double = next(one for one, count in Counter(map(fold, self.source_vocabulary)).items() if count > 1)
            raise ValueError(
                f"The gloss '{double}' is twice in source_vocabulary (case does not count); name each gloss once."
            )
        if target_tokenizer is None:
            target_tokenizer = _word_tokenizer([], lowercase).to_str()
        self.target_tokenizer = target_tokenizer
        self._tokenizer = _parsed(target_tokenizer)
        self._sampler: Tokenizer | None = None
        self.lowercase = lowercase
        self.split_glosses = split_glosses

    @classmethod
    def train(
        cls,
        glosses: Iterable[Sequence[str]],
        texts: Iterable[str],
        *,
        level: str = "word",
        vocabulary_size: int | None = None,
        minimum_count: int = 1,
        lowercase: bool = True,
        split_glosses: str = "",
        **settings: Any,
    ) -> SignTranslatorProcessor:
        """A processor with the vocabularies of a training corpus.

        Args:
            glosses: the glosses of each sentence.
            texts: the sentences.
            level: ``word``, or ``bpe`` for word pieces (Sennrich et al. 2016), which name any word.
            vocabulary_size: of the target, special tokens included; default all words, or 2000 pieces.
            minimum_count: rarer glosses and words are unknown.
            lowercase: read and write the target in lower case.
            split_glosses: see the class; rare glosses count as their parts.

        Raises:
            ValueError: an unknown level, a size without room for a single word, or a corpus without a gloss or a word.
        """
        if level not in ("word", "bpe"):
            raise ValueError(f"level is {level!r}; it must be 'word' or 'bpe'.")
        if vocabulary_size is not None and vocabulary_size <= len(SPECIAL_TOKENS):
            raise ValueError(
                f"vocabulary_size is {vocabulary_size}; it must be more than the {len(SPECIAL_TOKENS)} special tokens."
            )
        sentences = [_words(sentence) for sentence in glosses]
        counts = Counter(fold(gloss) for sentence in sentences for gloss in sentence)
        for sentence in sentences:  # in place of rare glosses what they are put together of
            pieces = [_parts(one, split_glosses) if counts[fold(one)] < minimum_count else [one] for one in sentence]
            sentence[:] = [one for parts in pieces for one in parts]
        source = [gloss for gloss in gloss_vocabulary(sentences, minimum_count) if gloss not in SPECIAL_TOKENS]
        texts = [text for text in texts if text and text.strip()]
        if not source or not texts:
            raise ValueError(
                f"There is no {'sentence' if source else 'gloss'} to learn from (minimum_count is {minimum_count})."
            )
        if level == "word":
            plain = _word_tokenizer([], lowercase)
            words = Counter(word for text in texts for word in _split(plain, text))
            tokenizer = _word_tokenizer(_frequent(words, minimum_count, vocabulary_size), lowercase)
        else:
            tokenizer = _with_rules(Tokenizer(BPE(unk_token=SPECIAL_TOKENS[UNK])), lowercase)
            trainer = BpeTrainer(
                vocab_size=vocabulary_size or 2000,
                min_frequency=minimum_count,
                special_tokens=list(SPECIAL_TOKENS),
                show_progress=False,
            )
            tokenizer.train_from_iterator(texts, trainer)
        return cls(source, tokenizer.to_str(), lowercase=lowercase, split_glosses=split_glosses, **settings)

    def to_dict(self) -> dict[str, Any]:
        derived = {name: self.__dict__.pop(name) for name in _DERIVED}
        try:
            return super().to_dict()
        finally:
            self.__dict__.update(derived)

    @property
    def pad_token_id(self) -> int:
        return PAD

    @property
    def bos_token_id(self) -> int:
        return BOS

    @property
    def eos_token_id(self) -> int:
        return EOS

    @property
    def unk_token_id(self) -> int:
        return UNK

    @property
    def target_vocabulary_size(self) -> int:
        """Number of target tokens, special ones included."""
        return self._tokenizer.get_vocab_size()

    @property
    def spells(self) -> bool:
        """Whether the target is written letter by letter."""
        tokens = sorted(self._tokenizer.get_vocab().items(), key=lambda item: item[1])[len(SPECIAL_TOKENS) :]
        return bool(tokens) and all(len(token) == 1 for token, _ in tokens)

    # --------------------------------------------------------------------------------------------------------- there

    def unknown(self, glosses: Iterable[str]) -> list[str]:
        """Those of the glosses that the model does not know, each once, in order."""
        return list(dict.fromkeys(gloss for gloss in glosses if UNK in self._gloss_ids(gloss)))

    def knows_some(self, glosses: Iterable[str]) -> bool:
        """Whether the model knows one of the glosses, or what one is put together of."""
        return any(part != UNK for gloss in glosses for part in self._gloss_ids(gloss))

    def encode_glosses(self, glosses: Sequence[str] | str) -> list[int]:
        """Ids of one sentence's glosses with the end token. Raises ValueError where there is no gloss."""
        return self._encode_with_places(glosses)[0]

    def encode_text(self, text: str, *, bpe_dropout: float = 0.0) -> list[int]:
        """Ids of a sentence with the end token.

        Args:
            bpe_dropout: share of merges that are left out at random, so that a word is seen in ever other pieces (Provilkov et
                al. 2020); for training on word pieces only.

        Raises:
            ValueError: no text.
        """
        if not text or not text.strip():
            raise ValueError("There is a sentence without text; leave such rows out, or give them one.")
        tokenizer = self._tokenizer
        if bpe_dropout > 0 and isinstance(tokenizer.model, BPE):
            if self._sampler is None:
                self._sampler = _parsed(self.target_tokenizer)
            tokenizer = self._sampler
            tokenizer.model.dropout = bpe_dropout
        return [*tokenizer.encode(text, add_special_tokens=False).ids, EOS]

    def encode(
        self, glosses: Sequence[str] | str, text: str | None = None, *, bpe_dropout: float = 0.0
    ) -> dict[str, list[int]]:
        """``input_ids`` and, with a text, ``labels`` of one sentence, not padded: what :meth:`pad` takes."""
        encoded = {"input_ids": self.encode_glosses(glosses)}
        if text is not None:
            encoded["labels"] = self.encode_text(text, bpe_dropout=bpe_dropout)
        return encoded

    def __call__(
        self,
        glosses: Sequence[str] | Sequence[Sequence[str]] | str,
        texts: str | Sequence[str] | None = None,
        *,
        bpe_dropout: float = 0.0,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Ids of one sentence or a list of sentences, padded to the longest.

        Args:
            glosses: the glosses of a sentence as a list or as one string with spaces, or a list of lists.
            texts: the translation of each.
            return_tensors: "pt", "np", or None for lists.

        Returns:
            ``input_ids`` and ``attention_mask`` (B, S); with texts ``labels`` (B, L), padded with -100.

        Raises:
            ValueError: no sentence, one without glosses, or not as many texts as there are sentences.
        """
        batch = [glosses] if isinstance(glosses, str) or all(isinstance(one, str) for one in glosses) else list(glosses)
        if texts is not None:
            texts = [texts] if isinstance(texts, str) else list(texts)
            if len(texts) != len(batch):
                raise ValueError(
                    f"There are {len(batch)} sentences of glosses and {len(texts)} texts; give one for each."
                )
            if None in texts:
                raise ValueError(f"Sentence {texts.index(None)} has no text; leave such rows out, or give them one.")
        rows = [
            self.encode(one, None if texts is None else texts[place], bpe_dropout=bpe_dropout)
            for place, one in enumerate(batch)
        ]
        return self.pad(rows, return_tensors=return_tensors)

    def pad(self, features: Sequence[Mapping[str, Any]], *, return_tensors: str | None = "pt") -> BatchFeature:
        """A padded batch of what :meth:`encode` gave, as a collator makes it.

        Args:
            features: rows with ``input_ids`` and, in all of them or in none, ``labels``; other columns are left out.
        """
        sources = [np.asarray(row["input_ids"], np.int64) for row in features]
        batch = {
            "input_ids": _padded(sources, PAD),
            "attention_mask": _padded([np.ones_like(source) for source in sources], 0),
        }
        if "labels" in features[0]:
            batch["labels"] = _padded([np.asarray(row["labels"], np.int64) for row in features], IGNORED)
        if return_tensors is None:
            batch = {name: values.tolist() for name, values in batch.items()}
        return BatchFeature(batch, tensor_type=return_tensors)

    # ------------------------------------------------------------------------------------------------------ and back

    def decode(
        self, ids: Any, glosses: Sequence[str] | str | None = None, attentions: Any = None, **kwargs: Any
    ) -> str:
        """Text of one sentence's ids; special tokens, padding and what follows the end are left out.

        Args:
            ids: (1 + L,) as ``generate`` returns them, the start token first, or labels.
            glosses, attentions: with both, the source and the (L, S) attention of ``score``, an unknown word is replaced by the gloss
                that it looked at most; without them it is left out.
        """
        ids = np.asarray(ids).tolist()
        copies: dict[int, str] = {}
        if glosses is not None and attentions is not None:
            start = int(bool(ids) and ids[0] == BOS)
            copies = {start + step: gloss for step, gloss in enumerate(self.aligned(glosses, attentions))}
        pieces = []
        for step, token in enumerate(ids):
            if token == EOS:
                break
            if token == UNK and step in copies:
                gloss = copies[step]
                pieces.append(_SPACE + (gloss.lower() if self.lowercase else gloss))
            elif token >= len(SPECIAL_TOKENS):
                pieces.append(self._tokenizer.id_to_token(token) or "")
        return "".join(pieces).replace(_SPACE, " ").strip()

    def batch_decode(
        self, ids: Any, glosses: Sequence[Sequence[str] | str] | None = None, attentions: Any = None, **kwargs: Any
    ) -> list[str]:
        """:meth:`decode` for each row of (B, 1 + L) ids."""
        rows = [np.asarray(row) for row in ids]
        sources = [None] * len(rows) if glosses is None else glosses
        looks = [None] * len(rows) if attentions is None else attentions
        return [self.decode(row, source, look) for row, source, look in zip(rows, sources, looks)]

    def aligned(self, glosses: Sequence[str] | str, attentions: Any) -> list[str]:
        """The gloss that each of the L target tokens looked at most, from (L, S) attention; the end token is no gloss."""
        words = _words(glosses)
        places = self._encode_with_places(glosses)[1]
        look = np.zeros((len(attentions), len(words)), np.float64)
        for column, place in enumerate(places):  # a gloss that was taken apart gets what its parts got
            look[:, place] += np.asarray(attentions)[:, column]
        return [words[best] for best in look.argmax(1)]

    # ------------------------------------------------------------------------------------------------------ machinery

    def _gloss_ids(self, gloss: str) -> list[int]:
        known = self._source_ids.get(fold(gloss))
        if known is not None:
            return [known]
        parts = [self._source_ids.get(fold(part), UNK) for part in _parts(gloss, self.split_glosses)]
        return parts if any(part != UNK for part in parts) else [UNK]

    def _encode_with_places(self, glosses: Sequence[str] | str) -> tuple[list[int], list[int]]:
        """Ids with the end token, and for all but that the number of their gloss."""
        words = _words(glosses)
        if not words:
            raise ValueError("There is a sentence without glosses; at least one is needed to translate.")
        found = [(one, place) for place, gloss in enumerate(words) for one in self._gloss_ids(gloss)]
        return [one for one, _ in found] + [EOS], [place for _, place in found]


def _words(glosses: Sequence[str] | str) -> list[str]:
    words = glosses.split() if isinstance(glosses, str) else list(glosses)
    return [gloss.strip() for gloss in words if gloss and gloss.strip()]


def _parts(gloss: str, separators: str) -> list[str]:
    if not separators:
        return [gloss]
    return [part for part in re.split(f"[{re.escape(separators)}]", gloss) if part]


def _frequent(counts: Counter[str], minimum: int, size: int | None = None) -> list[str]:
    """The frequent ones first, those of equal count in the order of the alphabet; as many as ``size`` leaves room for."""
    ranked = sorted(
        (word for word, count in counts.items() if count >= minimum), key=lambda word: (-counts[word], word)
    )
    ranked = [word for word in ranked if word not in SPECIAL_TOKENS]
    return ranked if size is None else ranked[: size - len(SPECIAL_TOKENS)]


def _with_rules(tokenizer: Tokenizer, lowercase: bool) -> Tokenizer:
    """The same rules for both levels: how a text is written, and where its words end."""
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), *([normalizers.Lowercase()] if lowercase else [])])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always"),
            pre_tokenizers.Split(Regex(_WORD), behavior="isolated"),
        ]
    )
    return tokenizer


def _word_tokenizer(words: Sequence[str], lowercase: bool) -> Tokenizer:
    vocabulary = {word: place for place, word in enumerate((*SPECIAL_TOKENS, *words))}
    return _with_rules(Tokenizer(WordLevel(vocabulary, unk_token=SPECIAL_TOKENS[UNK])), lowercase)


def _split(tokenizer: Tokenizer, text: str) -> list[str]:
    return [word for word, _ in tokenizer.pre_tokenizer.pre_tokenize_str(tokenizer.normalizer.normalize_str(text))]


def _parsed(text: str) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare Exceptions
        raise ValueError(f"target_tokenizer is not the JSON text of a tokenizer: {error}.") from None
    own = tuple(tokenizer.id_to_token(place) for place in range(len(SPECIAL_TOKENS)))
    if own != SPECIAL_TOKENS:
        raise ValueError(
            f"The target's tokenizer begins with {own}; its first tokens must be {', '.join(SPECIAL_TOKENS)}."
        )
    return tokenizer


def _padded(rows: Sequence[np.ndarray], value: int) -> np.ndarray:
    out = np.full((len(rows), max(map(len, rows))), value, np.int64)
    for place, row in enumerate(rows):
        out[place, : len(row)] = row
    return out


__all__ = ["SPECIAL_TOKENS", "SignTranslatorProcessor"]
