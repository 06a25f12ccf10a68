/* Answer requests of javascript.py, one JSON object a line, with predict.js. */
"use strict";

const [, , predict] = process.argv;
const {load} = require(predict);
const models = {};

function answer(request) {
    const model = models[request.model];
    switch (request.call) {
    case "load":
        models[request.model] = load(request.description);
        return null;
    case "classify": {
        const prediction = model.predict(request.text);
        return {
            probabilities: prediction.probabilities,
            words: prediction.words.map((word) => [word.text, word.from, word.to]),
            influences: request.influences && model.readWords(prediction).map(
                (word) => [word, model.influence(prediction, word)]),
        };
    }
    case "score":
        try {
            const {sum, count, nats} = model.score(request.text);
            return {sum, count, nats: request.nats && nats.slice(1)};
        } catch (error) {
            return error.message;
        }
    case "sample": {
        const source = model.sample(request.seed, request.text, request.temperature), tokens = [];
        while (tokens.length < request.count) tokens.push(source.next().value);
        return model.text(tokens);
    }
    }
}

let waiting = "";
process.stdin.setEncoding("utf8");
process.stdin.on("data", (data) => {
    const lines = (waiting + data).split("\n");
    waiting = lines.pop();
    for (const line of lines) process.stdout.write(JSON.stringify(answer(JSON.parse(line))) + "\n");
});
