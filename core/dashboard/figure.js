// A plotly figure that stays: new data are drawn into the one that stands there, so that zoom and pan survive every
// refresh. (st.plotly_chart builds a new figure whenever the data change.) Nothing is fetched from another host.

const NARROW = 560; // px

// Streamlit serves this file without a date or a tag, so that a browser would fetch its 5 MB for each visit.
async function kept(source) {
  const shelf = await caches.open("live-figure");
  if (!(await shelf.match(source))) {
    for (const old of await shelf.keys()) await shelf.delete(old);
    await shelf.add(source);
  }
  return URL.createObjectURL(await (await shelf.match(source)).blob());
}

async function fetched(source) {
  const address = await kept(source).catch(() => source); // no such shelf on plain http from another machine
  await new Promise((loaded, failed) => {
    const script = document.createElement("script");
    script.src = address;
    script.onload = loaded;
    script.onerror = () => failed(new Error(`cannot load ${source}`));
    document.head.append(script);
  });
  return window.Plotly;
}

function plotly(source) {
  return (window.traderPlotly ??= fetched(source));
}

function layoutFor(box, figure, narrow) {
  return box.clientWidth < NARROW ? { ...figure.layout, ...narrow } : figure.layout;
}

// plotly itself gives a zoom up when the range in the data changes, as it does with every new bar: we keep it.
function asHeld(box, layout) {
  if (box.revision !== layout.uirevision) box.held = {};
  box.revision = layout.uirevision;
  layout.uirevision += `|${(box.backs ??= 0)}`;
  for (const [axis, range] of Object.entries(box.held)) layout[axis] = { ...layout[axis], range, autorange: false };
  return layout;
}

function hold(box, change) {
  const axes = Object.keys(box.layout).filter((name) => /^[xy]axis\d*$/.test(name));
  const moved = axes.filter((axis) => Object.keys(change).some((key) => key.startsWith(`${axis}.range`)));
  for (const axis of moved) box.held[axis] = [...box.layout[axis].range];
  if (axes.some((axis) => change[`${axis}.autorange`])) { // a double click: back to the view that was sent
    box.held = {};
    box.backs += 1;
    draw(box, box.last);
  }
}

function near(box, event, point) {
  const { left, top } = box.getBoundingClientRect();
  const x = left + point.xaxis._offset + point.xaxis.d2p(point.x);
  const y = top + point.yaxis._offset + point.yaxis.d2p(point.y);
  return Math.hypot(event.clientX - x, event.clientY - y) < 18;
}

async function draw(box, { figure, narrow, config, source }) {
  box.style.minHeight = `${layoutFor(box, figure, narrow).height}px`; // keeps the page's scroll while it loads
  const Plotly = await plotly(source);
  if (!box.isConnected) return;
  await Plotly.react(box, figure.data, asHeld(box, structuredClone(layoutFor(box, figure, narrow))), config);
  box.style.minHeight = "";
}

function listen(box, Plotly) {
  box.on("plotly_relayout", (change) => hold(box, change));
  box.on("plotly_click", (event) => {
    const hit = event.points.find((point) => typeof point.customdata === "string" && near(box, event.event, point));
    if (hit) box.tell(hit.customdata);
  });
  let width = box.clientWidth;
  box.watch = new ResizeObserver(() => {
    if (Math.abs(box.clientWidth - width) < 2) return;
    const crossed = box.clientWidth < NARROW !== width < NARROW;
    width = box.clientWidth;
    if (crossed) draw(box, box.last);
    else Plotly.Plots.resize(box);
  });
  box.watch.observe(box.parentElement);
}

export default function ({ data, parentElement, setTriggerValue }) {
  const box = parentElement.querySelector(".live-figure");
  if (!data.figure) { // only to have the script ready for the next page
    (window.requestIdleCallback ?? setTimeout)(() => plotly(data.source).catch(() => {}));
    return;
  }
  box.tell = (id) => setTriggerValue("clicked", id);
  box.last = data;
  draw(box, data)
    .then(async () => { if (!box.watch && box.isConnected) listen(box, await plotly(data.source)); })
    .catch((error) => { box.textContent = `The figure cannot be drawn: ${error.message}`; });
  return () => { box.watch?.disconnect(); window.Plotly?.purge(box); };
}
