/* A compressed model in plain JavaScript: the predictions of bayes_rnn.predictor. It uses neither the page nor the
 * network, so that Node can load it too.
 *
 * A description of a model comes from bayes_rnn.export_html. Weights are float32; all sums are float64. */
"use strict";

const compressedModel = (function () {
    // -- characters: tables from Python, because browsers have other versions of Unicode -----------------------------

    /* Return a function that tells whether a set contains a code point. The differences of successive bounds describe
     * the set: it contains all code points from bounds[0] up to, but not including, bounds[1], and so on. */
    function characterSet(differences) {
        const bounds = new Uint32Array(differences.length);
        differences.reduce((sum, difference, k) => (bounds[k] = sum + difference), 0);
        return function (code) {
            let low = 0, high = bounds.length;
            while (low < high) {
                const middle = (low + high) >> 1;
                if (bounds[middle] <= code) low = middle + 1; else high = middle;
            }
            return low % 2 === 1;
        };
    }

    /* Return the code points of a text, with their positions. */
    function codePoints(text) {
        const result = [];
        let position = 0;
        for (const character of text) {
            result.push({code: character.codePointAt(0), from: position, to: position + character.length});
            position += character.length;
        }
        return result;
    }

    const SIGMA = 0x3A3, FINAL_SIGMA = 0x3C2, SMALL_SIGMA = 0x3C3;

    /* Python's str.lower. */
    class LowerCase {
        constructor(tables) {
            this.lower = new Map();
            for (const [first, last, step, difference] of tables.lower)
                for (let code = first; code <= last; code += step) this.lower.set(code, [code + difference]);
            for (const [code, codes] of tables.lower_to_several) this.lower.set(code, codes);
            this.isCased = characterSet(tables.cased);
            this.isIgnorable = characterSet(tables.case_ignorable);
        }

        /* Return code points in lower case, with the positions in the original text. */
        of(points) {
            const result = [];
            points.forEach((point, k) => {
                const codes = point.code === SIGMA ? [this.isFinal(points, k) ? FINAL_SIGMA : SMALL_SIGMA]
                    : this.lower.get(point.code) || [point.code];
                for (const code of codes) result.push({code, from: point.from, to: point.to});
            });
            return result;
        }

        /* Return whether a sigma is the last letter of a word. */
        isFinal(points, k) {
            const casedAt = (at, step) => {
                while (points[at] && this.isIgnorable(points[at].code)) at += step;
                return points[at] !== undefined && this.isCased(points[at].code);
            };
            return casedAt(k - 1, -1) && !casedAt(k + 1, 1);
        }
    }

    // -- numbers ------------------------------------------------------------------------------------------------------

    function bytes(base64) {
        const text = atob(base64), result = new Uint8Array(text.length);
        for (let k = 0; k < text.length; k++) result[k] = text.charCodeAt(k);
        return result.buffer;
    }

    /* Return typed numbers that were stored in the order of little-endian processors. */
    function numbers(base64, Kind) {
        const view = new DataView(bytes(base64)), size = 4, result = new Kind(view.byteLength / size);
        for (let k = 0; k < result.length; k++)
            result[k] = Kind === Float32Array ? view.getFloat32(size * k, true) : view.getUint32(size * k, true);
        return result;
    }

    /* A matrix: all elements, or the positions and values of those that are not zero. */
    class Matrix {
        constructor(stored) {
            [this.rows, this.columns] = stored.shape;
            this.values = numbers(stored.values, Float32Array);
            this.starts = null;
            if (stored.positions === undefined) return;
            const positions = numbers(stored.positions, Uint32Array);
            this.column = positions.map((position) => position % this.columns);
            this.starts = new Uint32Array(this.rows + 1);
            for (const position of positions) this.starts[Math.floor(position / this.columns) + 1]++;
            for (let row = 0; row < this.rows; row++) this.starts[row + 1] += this.starts[row];
        }

        /* Add a multiple of a row to a vector. */
        addRow(row, factor, sum) {
            if (factor === 0) return;
            if (this.starts) {
                for (let k = this.starts[row]; k < this.starts[row + 1]; k++)
                    sum[this.column[k]] += factor * this.values[k];
            } else {
                for (let k = 0, at = row * this.columns; k < this.columns; k++, at++)
                    sum[k] += factor * this.values[at];
            }
        }

        /* Add the product of a vector and this matrix to a vector. */
        addProduct(vector, sum) {
            for (let row = 0; row < this.rows; row++) this.addRow(row, vector[row], sum);
        }

        /* Return a row as a vector. */
        row(row) {
            const result = new Float64Array(this.columns);
            this.addRow(row, 1, result);
            return result;
        }
    }

    /* Return the logarithms of the softmax of scores. */
    function logSoftmax(scores) {
        const largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
        const sum = scores.reduce((total, score) => total + Math.exp(score - largest), 0);
        return scores.map((score) => score - largest - Math.log(sum));
    }

    const GATES = {
        hard_sigmoid: (x) => Math.min(1, Math.max(0, 0.2 * x + 0.5)),
        sigmoid: (x) => 1 / (1 + Math.exp(-x)),
    };

    // -- the recurrence -----------------------------------------------------------------------------------------------

    /* An LSTM with the kept inputs, hidden units and gates only; row -1 is the input of pruned words. */
    class Network {
        constructor(description) {
            const arrays = description.arrays;
            this.description = description;
            this.W_in = new Matrix(arrays.W_in);
            this.W_hid = new Matrix(arrays.W_hid);
            this.W_out = new Matrix(arrays.W_out);
            this.embedding = arrays.embedding && new Matrix(arrays.embedding);
            this.b = numbers(arrays.b.values, Float32Array);
            this.b_out = numbers(arrays.b_out.values, Float32Array);
            this.constants = numbers(arrays.gate_constants.values, Float32Array);
            this.computed = description.computed_gates;
            this.units = this.constants.length / 4;
            this.gate = GATES[description.gate_nonlinearity];
            this.inputs = new Map();
        }

        /* Return the product of a row and the input weights, plus the bias. */
        input(row) {
            let result = this.inputs.get(row);
            if (result === undefined) {
                result = Float64Array.from(this.b);
                if (row >= 0 && this.embedding) this.W_in.addProduct(this.embedding.row(row), result);
                else if (row >= 0) this.W_in.addRow(row, 1, result);
                this.inputs.set(row, result);
            }
            return result;
        }

        start() {
            return {h: new Float64Array(this.units), c: new Float64Array(this.units)};
        }

        /* Return the state after a time step. */
        step(state, row) {
            const a = Float64Array.from(this.input(row)), gates = Float64Array.from(this.constants), units = this.units;
            this.W_hid.addProduct(state.h, a);
            this.computed.forEach((gate, k) => {
                gates[gate] = gate >= 2 * units && gate < 3 * units ? Math.tanh(a[k]) : this.gate(a[k]);
            });
            const next = this.start();
            for (let k = 0; k < units; k++) {
                next.c[k] = gates[units + k] * state.c[k] + gates[k] * gates[2 * units + k];
                next.h[k] = gates[3 * units + k] * Math.tanh(next.c[k]);
            }
            return next;
        }

        scores(state) {
            const result = Float64Array.from(this.b_out);
            this.W_out.addProduct(state.h, result);
            return result;
        }
    }

    // -- text classification ------------------------------------------------------------------------------------------

    /* Return the hash value FNV-1a of a word in UTF-8. */
    function fnv1a(word) {
        return new TextEncoder().encode(word).reduce((value, byte) => Math.imul(value ^ byte, 16777619), 2166136261) >>> 0;
    }

    class Classifier extends Network {
        constructor(description) {
            super(description);
            const special = description.special_tokens;
            this.classes = description.classes;
            this.isWordCharacter = characterSet(description.characters.word);
            this.lowerCase = description.lower_case ? new LowerCase(description.characters) : null;
            this.rowOf = new Map([special.start].concat(description.pruned_words).map((word) => [word, -1]));
            description.words.forEach((word, row) => this.rowOf.set(word, row));
            this.outside = description.words.indexOf(special.outside);
            const stored = description.pruned_fingerprints;
            this.fingerprints = stored && new Set(numbers(stored.values, Uint32Array));
            this.startRow = this.rowOf.get(special.start);
            this.endRow = this.row(special.end);
        }

        row(word) {
            const row = this.rowOf.get(word);
            if (row !== undefined) return row;
            const isPruned = this.fingerprints &&
                this.fingerprints.has(fnv1a(word) % this.description.pruned_fingerprints.range);
            return isPruned ? -1 : this.outside;
        }

        /* Return the words of a text: their positions, their row, and whether the model reads them before it reaches
         * its length. */
        words(text) {
            const points = codePoints(text), words = [];
            let word = null;
            for (const point of this.lowerCase ? this.lowerCase.of(points) : points) {
                if (!this.isWordCharacter(point.code)) {
                    word = null;
                    continue;
                }
                if (word === null) {
                    word = {text: "", from: point.from, to: point.to};
                    words.push(word);
                }
                word.text += String.fromCodePoint(point.code);
                word.to = point.to;
            }
            words.forEach((each, k) => {
                each.row = this.row(each.text);
                each.isKept = this.rowOf.get(each.text) >= 0;
                each.isRead = k < this.description.length - 1;
            });
            return words;
        }

        /* Return the states before the words: of no word, of the first word, and so on up to the length of the model. */
        states(rows) {
            const states = [this.step(this.start(), this.startRow)];
            for (const row of this.truncated(rows)) states.push(this.step(states[states.length - 1], row));
            return states;
        }

        truncated(rows) {
            return rows.concat([this.endRow]).slice(0, this.description.length - 1);
        }

        /* Return the probabilities of the classes from the last state. */
        probabilities(state) {
            const scores = this.scores(state);
            if (scores.length > 1) return Array.from(logSoftmax(scores), Math.exp);
            const positive = GATES.sigmoid(scores[0]);
            return [1 - positive, positive];
        }

        /* Return {probabilities, best, words, states}; best is the index of the most probable class. */
        predict(text) {
            const words = this.words(text), states = this.states(words.map((word) => word.row));
            const probabilities = this.probabilities(states[states.length - 1]);
            return {probabilities, best: probabilities.indexOf(Math.max(...probabilities)), words, states};
        }

        /* Return the different words that the model reads. */
        readWords(prediction) {
            return [...new Set(prediction.words.filter((word) => word.isRead).map((word) => word.text))];
        }

        /* Return by how much a word that the model reads increases the probability of the best class: the difference
         * from the text without all occurrences of this word. */
        influence(prediction, text) {
            const first = prediction.words.findIndex((word) => word.text === text);
            const rows = prediction.words.filter((word) => word.text !== text).map((word) => word.row);
            let state = prediction.states[first];
            for (const row of this.truncated(rows).slice(first)) state = this.step(state, row);
            return prediction.probabilities[prediction.best] - this.probabilities(state)[prediction.best];
        }

        /* Return the number of multiplications that all influences take. */
        cost(prediction) {
            return prediction.states.length ** 2 / 2 * (this.W_hid.values.length + 20 * this.units + 1);
        }
    }

    // -- language models ----------------------------------------------------------------------------------------------

    /* NumPy's RandomState: the Mersenne Twister MT19937, with 53 random bits for a number in [0, 1). */
    class Random {
        constructor(seed) {
            this.state = new Uint32Array(624);
            this.state[0] = seed;
            for (let k = 1; k < 624; k++) {
                const last = this.state[k - 1] ^ (this.state[k - 1] >>> 30);
                this.state[k] = Math.imul(1812433253, last) + k;
            }
            this.position = 624;
        }

        bits() {
            const s = this.state;
            if (this.position === 624) {
                for (let k = 0; k < 624; k++) {
                    const y = (s[k] & 0x80000000) | (s[(k + 1) % 624] & 0x7FFFFFFF);
                    s[k] = s[(k + 397) % 624] ^ (y >>> 1) ^ (y & 1 ? 0x9908B0DF : 0);
                }
                this.position = 0;
            }
            let y = s[this.position++];
            y ^= y >>> 11;
            y ^= (y << 7) & 0x9D2C5680;
            y ^= (y << 15) & 0xEFC60000;
            return (y ^ (y >>> 18)) >>> 0;
        }

        next() {
            const high = this.bits() >>> 5, low = this.bits() >>> 6;
            return (high * 67108864 + low) / 9007199254740992;
        }
    }

    class LanguageModel extends Network {
        constructor(description) {
            super(description);
            const special = description.special_tokens;
            this.vocabulary = description.vocabulary;
            this.isCharacters = description.kind === "characters";
            this.isSpace = characterSet(description.characters.space);
            this.indexOf = new Map(this.vocabulary.map((token, index) => [token, index]));
            this.lineEnd = this.isCharacters ? "\n" : special.end_of_line;
            this.cache = [];
        }

        /* Return the tokens of a text, as Python's character_tokens and word_tokens. */
        split(text) {
            const space = this.description.special_tokens.space, lines = text.split("\n");
            const isSpace = (character) => this.isSpace(character.codePointAt(0));
            if (this.isCharacters) {
                return Array.from(lines.map((line) => {
                    const characters = Array.from(line), kept = characters.map((character) => !isSpace(character));
                    return characters.slice(kept.indexOf(true) < 0 ? characters.length : kept.indexOf(true),
                                            kept.lastIndexOf(true) + 1).join("");
                }).join("\n"), (character) => character === " " ? space : character);
            }
            const words = lines.map((line) => {
                const found = [""];
                for (const character of line) {
                    if (!isSpace(character)) found[found.length - 1] += character;
                    else if (found[found.length - 1]) found.push("");
                }
                return found.filter((word) => word);
            });
            if (!words[words.length - 1].length) words.pop();
            return [].concat(...words.map((line) => line.concat([this.lineEnd])));
        }

        /* Return the indices of the tokens of a text in the vocabulary. Unknown words are replaced by <unk>; throw an
         * Error if the vocabulary does not have it. */
        tokens(text) {
            const unknown = this.indexOf.get(this.description.special_tokens.unknown);
            return this.split(text).map((token) => {
                const index = this.indexOf.has(token) ? this.indexOf.get(token) : unknown;
                if (index === undefined)
                    throw new Error(`“${token}” is not in the vocabulary of the model`);
                return index;
            });
        }

        /* Return the states after each of some tokens. States of earlier calls are used again, because a text that is
         * being typed differs from the last one at its end. */
        states(tokens) {
            let same = 0;
            while (same < Math.min(tokens.length, this.cache.length) && this.cache[same].token === tokens[same]) same++;
            this.cache.length = same;
            for (const token of tokens.slice(same)) {
                const last = this.cache.length ? this.cache[this.cache.length - 1].state : this.start();
                this.cache.push({token, state: this.step(last, this.description.row_of_token[token]), nats: new Map()});
            }
            return this.cache;
        }

        /* Return -log p of a token, in nats, after the tokens up to an element of `states`. */
        nats(entry, token) {
            if (!entry.nats.has(token)) entry.nats.set(token, -logSoftmax(this.scores(entry.state))[token]);
            return entry.nats.get(token);
        }

        /* Return the tokens of a text with -log p of each, in nats; null for the first one, which the model reads from
         * an empty state and does not predict. Also return their sum and number. */
        score(text) {
            const tokens = this.tokens(text), states = this.states(tokens);
            const nats = tokens.map((token, k) => k === 0 ? null : this.nats(states[k - 1], token));
            return {tokens, nats, sum: nats.reduce((sum, value) => sum + value, 0), count: Math.max(0, nats.length - 1)};
        }

        /* Return the tokens that a continuation of a text begins with. */
        prompt(text) {
            const tokens = this.tokens(text);
            if (!this.isCharacters) tokens.pop();       // without the end of line: the continuation is on the same one
            if (tokens.length) return tokens;
            return [this.indexOf.has(this.lineEnd) ? this.indexOf.get(this.lineEnd) : 0];
        }

        /* Return the most probable next tokens after a text: list of [index, probability]. */
        next(text, count) {
            const last = this.states(this.prompt(text)).slice(-1)[0];
            return Array.from(logSoftmax(this.scores(last.state)), (value, index) => [index, Math.exp(value)])
                .sort((a, b) => b[1] - a[1]).slice(0, count);
        }

        /* Yield the indices of the tokens that continue a text, those of NextTokenPredictor.sample. */
        * sample(seed, text, temperature) {
            const random = new Random(seed), divisor = Math.max(temperature, 1e-100);
            let state = this.start();
            for (const token of this.prompt(text)) state = this.step(state, this.description.row_of_token[token]);
            for (;;) {
                const scores = this.scores(state), largest = scores.reduce((a, b) => Math.max(a, b), -Infinity);
                const weights = scores.map((score) => Math.exp((score - largest) / divisor));
                const until = random.next() * weights.reduce((a, b) => a + b, 0);
                let token = 0, sum = weights[0];
                while (sum < until && token < weights.length - 1) sum += weights[++token];
                yield token;
                state = this.step(state, this.description.row_of_token[token]);
            }
        }

        /* Return the text of tokens, as NextTokenPredictor.sample returns it. */
        text(tokens) {
            const texts = tokens.map((token) => this.vocabulary[token]);
            if (this.isCharacters) return texts.join("").split(this.description.special_tokens.space).join(" ");
            return texts.map((word) => word === this.lineEnd ? "\n" : word).join(" ").replace(/ ?\n ?/g, "\n");
        }
    }

    /* Return the model of a description. */
    function load(description) {
        return description.kind === "text" ? new Classifier(description) : new LanguageModel(description);
    }

    return {load};
}());

if (typeof module !== "undefined") module.exports = compressedModel;
