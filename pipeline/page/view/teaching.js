// The three experiments of the tutorial, as text whose numbers are computed on this page.

const PENDING = "…";

// Mean, smallest and largest of the committed training accuracies of an initializer, and how many reach the target.
function accuracies(name) {
  const shares = DATA.initializers[name].train.map(n => n / DATA.data.n_train);
  const target = DATA.comparison.target_accuracy;
  return {mean: mean(shares), low: Math.min(...shares), high: Math.max(...shares), reached: shares.filter(share => share >= target).length};
}

// A card: a title, a paragraph, and a button that shows the experiment in the laboratory.
function card(title, text, button, state) {
  const paragraph = element("p", {}, ...text.map(part => (typeof part === "string" ? part : element("b", {}, part.value))));
  const show = element("button", {type: "button"}, button);
  show.addEventListener("click", () => show_experiment(state));
  return element("article", {className: "card"}, element("h3", {}, title), paragraph, show);
}

// `computed` has, for each role, {first, final, difference}: measurements before and after training.
function cards(computed) {
  const number = (role, stage, read) => ({value: computed[role]?.[stage] ? read(computed[role][stage]) : PENDING});
  const difference = role => ({value: computed[role]?.final ? readable(computed[role].difference) : PENDING});
  const cost = found => readable(found.cost);
  const n_steps = whole(DATA.training.iterations), {zeros, constant, large, he, normal} = ROLES;
  const seed = DATA.comparison.highlight_seed, sizes = DATA.layers_dims.slice(1, -1);
  const made = [];
  if (zeros && constant) {
    const still = computed.zeros?.first?.largest_gradient === 0;
    made.push(card("1. Zeros: no weight moves", [
      "The tutorial says that zero weights fail because all units stay equal. ",
      still ? "The numbers show another cause. " : "The numbers: ",
      "Before the first step the largest gradient of a weight is ", number("zeros", "first", found => readable(found.largest_gradient)),
      `; after ${n_steps} steps the largest change of a weight is `, number("zeros", "final", found => readable(found.largest_change)),
      " and the cost is ", number("zeros", "final", cost), `, after ${readable(computed.zeros.first.cost)} at the start. `,
      `Equal units do not by themselves stop training. With ${constant} the largest gradient is `,
      number("constant", "first", found => readable(found.largest_gradient)), " and the cost falls from ",
      number("constant", "first", cost), " to ", number("constant", "final", cost),
      ", but the units stay equal: after training the hidden layers have ",
      number("constant", "final", found => found.distinct.map((n, l) => `${n} of ${sizes[l]}`).join(" and ")), " distinct units.",
    ], `Show ${zeros} beside ${constant}`, {a: zeros, b: constant, perturbed: 0}));
  }
  if (large && he) {
    made.push(card("2. Large weights: rounding errors grow", [
      `With ${large} the first cost is `, number("large", "first", cost), " nats, where a network that always answers 1/2 has 0.693: ",
      number("large", "first", found => percent(found.saturated)),
      " of its outputs are within 0.03 of 0 or 1, right or wrong. Such training amplifies the smallest change. ",
      `Change one weight of the first layer by 1 ulp, about 1e−16 of its size. After ${n_steps} steps the weights of ${large} differ by up to `,
      difference("large"), `, those of ${he} by up to `, difference("he"),
      ". Ordinary matrix products round differently on different processors, so they give a different cost curve on each; " +
      "this page and the committed tables add in one fixed order.",
    ], `Show ${large} beside ${he}, with 1 ulp`, {a: large, b: he, perturbed: 1}));
  }
  if (he) {
    const all = accuracies(he), published = DATA.initializers[he].published?.train;
    const other = normal && accuracies(normal), target = percent(DATA.comparison.target_accuracy);
    made.push(card("3. He: one seed is not a result", [
      ...(published ? ["The tutorial reports ", {value: percent(published)}, " training accuracy. "] : []),
      `Seed ${seed}, trained in your browser, gives `, number("he", "final", found => percent(found.correct / DATA.data.n_train)),
      `. Over the ${whole(DATA.seeds.length)} seeds of the committed table the mean is `, {value: percent(all.mean)}, ", from ",
      {value: percent(all.low)}, " to ", {value: percent(all.high)}, "; ", {value: String(all.reached)}, ` of them reach ${target}. `,
      ...(other ? [`${normal}, N(0, 1) in every layer, has a mean of `, {value: percent(other.mean)},
        ...(DATA.layers_dims[0] === 2 ? [". It differs from He only after the first layer: for 2 inputs He's standard deviation √(2 / 2) is 1."] : ["."])] : []),
      " Step through the seeds below.",
    ], normal ? `Show ${he} beside ${normal}` : `Show ${he}`, {a: he, b: normal || he, perturbed: 0}));
  }
  return made;
}

// The background work that the text needs: one model per role, the two of the second experiment beside a copy.
function teaching_tasks() {
  const wanted = ["he", "large", "constant", "zeros"].filter(role => ROLES[role] && can_draw(ROLES[role], DATA.comparison.highlight_seed));
  return wanted.map(role => ({
    key: role, name: ROLES[role], recipe: DATA.initializers[ROLES[role]], seed: DATA.comparison.highlight_seed,
    learning_rate: DATA.training.learning_rate, perturbed: role === "he" || role === "large",
  }));
}
