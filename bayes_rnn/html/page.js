/* The page of a compressed model: it shows what predict.js computes. All texts of the model are inserted as text, never
 * as HTML. */
"use strict";

(function () {
    const description = JSON.parse(document.getElementById("model-data").textContent);
    const model = compressedModel.load(description);
    const byId = (id) => document.getElementById(id);
    const input = byId("text");

    const LISTED_WORDS = 8, LISTED_TOKENS = 5;
    /* Multiplications that are done while typing: about a second, in parts of SLICE milliseconds. */
    const LARGEST_COST = 1e9, SLICE = 25;

    function element(tag, text, attributes) {
        const result = document.createElement(tag);
        if (text !== undefined) result.textContent = text;
        Object.entries(attributes || {}).forEach(([name, value]) => result.setAttribute(name, value));
        return result;
    }

    const percent = (share) => `${(100 * share).toFixed(1)} %`;
    const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
    const short = (value) => value < 1e6 ? value.toFixed(2) : value.toExponential(2);

    /* Run a task in parts, so that the page reacts meanwhile. Only the last task that was started continues. */
    const running = {};
    function inParts(name, nextPart, atEnd) {
        const own = running[name] = {};
        (function continueTask() {
            if (running[name] !== own) return;
            const end = Date.now() + SLICE;
            while (Date.now() < end) if (!nextPart()) return atEnd();
            setTimeout(continueTask, 0);
        }());
    }

    /* Show probabilities as bars with names. */
    function showBars(pairs) {
        byId("bars").replaceChildren(...pairs.map(([name, probability]) => {
            const bar = element("div", undefined, {
                class: "bar", role: "meter", "aria-label": name, "aria-valuemin": 0, "aria-valuemax": 1,
                "aria-valuenow": probability, "aria-valuetext": percent(probability)});
            bar.append(element("div"));
            bar.firstChild.style.width = `${100 * probability}%`;
            return [element("span", name, {"aria-hidden": "true"}), bar,
                    element("span", percent(probability), {class: "number", "aria-hidden": "true"})];
        }).flat());
    }

    // -- text classification ------------------------------------------------------------------------------------------

    function updateClasses() {
        const prediction = model.predict(input.value), {probabilities, best, words} = prediction;
        showBars(model.classes.map((name, k) => [name, probabilities[k]]));
        byId("result").textContent = `${model.classes[best]}, ${percent(probabilities[best])}`;
        const kept = words.filter((word) => word.isKept).length;
        byId("status").textContent = words.length === 0 ? "Type a text to see which of its words matter." :
            `The model knows ${kept} of the ${words.length} words.` + (words[words.length - 1].isRead ? "" :
                ` It reads the first ${description.length - 1} words only.`);
        const influences = new Map(), names = model.readWords(prediction);
        if (model.cost(prediction) > LARGEST_COST) {
            byId("status").textContent += " The text is too long to compute which words matter while you type.";
            delete running.influences;                  // of the text before
            showWords(prediction, influences);
            return;
        }
        inParts("influences", () => {
            if (influences.size === names.length) return false;
            const name = names[influences.size];
            influences.set(name, model.influence(prediction, name));
            return true;
        }, () => showWords(prediction, influences));
    }

    /* Show the text with the words marked that change the prediction, and a list of these words. */
    function showWords(prediction, influences) {
        const text = input.value, parts = [], name = model.classes[prediction.best];
        const matters = (value) => Math.abs(value) >= description.smallest_change;
        let end = 0;
        for (const word of prediction.words) {
            const value = word.isRead && influences.get(word.text) || 0;
            const from = Math.max(word.from, end);      // two words can begin in the same letter (İ)
            parts.push(text.slice(end, from));
            const shown = element(matters(value) ? "mark" : "span", text.slice(from, word.to));
            if (matters(value)) {
                shown.className = value > 0 ? "for" : "against";
                shown.style.setProperty("--strength", Math.min(1, 0.2 + Math.abs(value)));
                shown.title = `without this word: ${name} ${percent(prediction.probabilities[prediction.best] - value)}`;
                shown.append(element("sup", signed(value)));
            } else if (!word.isKept || !word.isRead) {
                shown.className = "ignored";
            }
            parts.push(shown);
            end = word.to;
        }
        byId("reading").replaceChildren(...parts, text.slice(end));
        const order = [...influences].filter(([, value]) => matters(value))
            .sort(([, a], [, b]) => Math.abs(b) - Math.abs(a)).slice(0, LISTED_WORDS);
        byId("influences").replaceChildren(...order.map(([word, value]) => {
            const row = element("tr");
            row.append(element("th", word, {scope: "row"}), element("td", value > 0 ? "supports" : "contradicts"),
                       element("td", signed(value), {class: "number"}));
            return row;
        }));
        byId("influence-class").textContent = name;
        byId("influence-table").hidden = order.length === 0;
    }

    // -- language models ----------------------------------------------------------------------------------------------

    /* Return how a token is shown. */
    function tokenName(index) {
        const text = model.vocabulary[index], special = description.special_tokens;
        if (text === model.lineEnd) return "↵";
        return model.isCharacters && text === special.space ? "␣" : text;
    }

    function updateTokens() {
        const unit = model.isCharacters ? "character" : "word";
        let score;
        try {
            if (input.value.length * model.vocabulary.length * (model.units + 1) > 5 * LARGEST_COST)
                throw new Error("The text is too long to be scored while you type");
            score = model.score(input.value);
            showBars(model.next(input.value, LISTED_TOKENS).map(([index, p]) => [tokenName(index), p]));
        } catch (error) {
            byId("result").textContent = `${error.message}.`;
            byId("reading").textContent = input.value;
            byId("continue").disabled = true;
            showBars([]);
            return;
        }
        byId("continue").disabled = false;
        const {tokens, nats, sum, count} = score;
        byId("result").textContent = count === 0 ? `Type at least two ${unit}s to see how probable they are.` :
            `log-probability ${signed(-sum)} nats; ` + (model.isCharacters ?
                `${(sum / count / Math.LN2).toFixed(3)} bits per character over ${count} characters` :
                `perplexity ${short(Math.exp(sum / count))} over ${count} words`);
        byId("reading").replaceChildren(...tokens.map((token, k) => {
            const shown = element("span", tokenName(token), {class: "token"});
            if (nats[k] !== null) {
                shown.title = `probability ${percent(Math.exp(-nats[k]))}, ${(nats[k] / Math.LN2).toFixed(2)} bits`;
                shown.style.setProperty("--strength", Math.min(1, nats[k] / Math.log(model.vocabulary.length)));
            }
            return shown;
        }));
    }

    function continueText() {
        const [count, temperature, seed] = ["length", "temperature", "seed"].map((id) => byId(id));
        for (const field of [count, temperature, seed]) if (!field.reportValidity()) return;
        const output = byId("continuation"), prompt = input.value === "" ? [] : model.tokens(input.value);
        if (!model.isCharacters) prompt.pop();
        const source = model.sample(Number(seed.value), input.value, Number(temperature.value)), tokens = [];
        output.setAttribute("aria-busy", "true");
        inParts("continuation", () => {
            if (tokens.length === Number(count.value)) return false;
            tokens.push(source.next().value);
            return true;
        }, () => {
            const text = model.text(prompt.concat(tokens)), before = prompt.length ? model.text(prompt) : "";
            output.replaceChildren(element("span", before, {class: "prompt"}), text.slice(before.length));
            output.setAttribute("aria-busy", "false");
        });
    }

    // -- start --------------------------------------------------------------------------------------------------------

    const update = description.kind === "text" ? updateClasses : updateTokens;
    input.addEventListener("input", update);
    if (description.kind !== "text") {
        byId("settings").addEventListener("submit", (event) => {
            event.preventDefault();
            continueText();
        });
    }
    update();
}());
