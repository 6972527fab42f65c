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
    const cause = computed.zeros?.first?.largest_gradient === 0 ? "The numbers show another cause: before" : "Before";
    made.push(card("1. Zeros: no weight moves", [
      `The tutorial explains the constant cost of zero weights by symmetry. ${cause} the first step the largest gradient of a weight is `,
      number("zeros", "first", found => readable(found.largest_gradient)), `, and after ${n_steps} steps the largest change of a weight is `,
      number("zeros", "final", found => readable(found.largest_change)),
      `. Symmetry is a different failure. With ${constant} the largest gradient is `, number("constant", "first", found => readable(found.largest_gradient)),
      " and the cost falls from ", number("constant", "first", cost), " to ", number("constant", "final", cost), ", but units stay equal: ",
      number("constant", "final", found => found.distinct.map((n, l) => `${n} of ${sizes[l]}`).join(" and ")), " are distinct after training.",
    ], `Show ${zeros} beside ${constant}`, {a: zeros, b: constant, perturbed: 0}));
  }
  if (large && he) {
    made.push(card("2. Large weights: rounding errors grow", [
      `The first cost with ${large} is `, number("large", "first", cost), " nats, where always answering 1/2 costs 0.693; ",
      number("large", "first", found => percent(found.saturated)),
      " of the outputs are within 0.03 of 0 or 1. Training from there amplifies rounding errors. If one weight of the first layer changes by 1 ulp, " +
      `about 1e−16 of its size, the final weights differ by up to `, difference("large"), `, with ${he} by up to `, difference("he"),
      ". Ordinary matrix products round differently on each kind of processor and so give different cost curves; the products used here do not.",
    ], `Show ${large} beside ${he}, with 1 ulp`, {a: large, b: he, perturbed: 1}));
  }
  if (he) {
    const all = accuracies(he), published = DATA.initializers[he].published?.train;
    const other = normal && accuracies(normal), target = percent(DATA.comparison.target_accuracy);
    made.push(card("3. He: one seed is not a result", [
      ...(published ? ["The tutorial reports ", {value: percent(published)}, " training accuracy. "] : []),
      `Seed ${seed}, trained in your browser, gives `, number("he", "final", found => percent(found.correct / DATA.data.n_train)),
      `. Over ${whole(DATA.seeds.length)} seeds the mean is `, {value: percent(all.mean)}, ", from ", {value: percent(all.low)}, " to ",
      {value: percent(all.high)}, ", and ", {value: String(all.reached)}, ` reach ${target}. `,
      ...(other ? [`With ${normal}, N(0, 1) in every layer, the mean is `, {value: percent(other.mean)}] : []),
      ...(other && DATA.layers_dims[0] === 2 ? [": for 2 inputs He's standard deviation √(2 / 2) is 1, so the first layers are the same."] : other ? ["."] : []),
    ], normal ? `Show ${he} beside ${normal}` : `Show ${he}`, {a: he, b: normal || he, perturbed: 0}));
  }
  return made;
}

// The background work that the text needs: one model per role, the two of the second experiment beside a copy.
function teaching_tasks() {
  const wanted = ["he", "large", "constant", "zeros"].filter(role => ROLES[role] && can_draw(ROLES[role], DATA.comparison.highlight_seed));
  return wanted.map(role => task(ROLES[role], DATA.comparison.highlight_seed, role, role === "he" || role === "large"));
}
